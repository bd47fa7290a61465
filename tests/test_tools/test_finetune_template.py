"""The template for data of one's own: its five lines, from the command line, in every mode."""

from __future__ import annotations

import json
from pathlib import Path

import mmcv
import pytest
import torch
from mmengine.config import Config

from glip.apis import init_detector, load_config
from glip.models.tuning import TUNINGS
from glip.structures import DetDataSample
from glip.testing import tiny_config
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import CONFIGS, PARTS, ROOT, numbers_of, tool
from tests.test_tools.training import nothing_left, training, walk

TEMPLATE = CONFIGS / "_templates" / "custom_coco_finetune.py"

#: What makes a copy of the template small enough for a test.
_SMALL = """
for part, options in {model!r}.items():
    model.setdefault(part, dict()).update(options)
load_from = None
train_pipeline = [dict(step) for step in _base_.train_pipeline]
train_pipeline[3]["scales"] = [(213, 96), (213, 128)]
test_pipeline = [dict(step) for step in _base_.test_pipeline]
test_pipeline[1]["scale"] = (128, 213)
train_dataloader["dataset"]["dataset"]["pipeline"] = train_pipeline
val_dataloader["dataset"]["pipeline"] = test_pipeline
for loader in (train_dataloader, val_dataloader):
    loader.update(num_workers=0, persistent_workers=False)
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    tool("dataset_converters/make_examples.py").main([str(folder)])
    return folder


@pytest.fixture(scope="module")
def own_config(examples, vocabulary, tmp_path_factory) -> Path:
    """A copy of the template: the five lines, where its bases are, and the small model."""
    text = TEMPLATE.read_text()
    assert text.count('"data/examples/') == 4
    text = text.replace('"data/examples/', f'"{examples}/')
    text = text.replace('"../../_base_/', f'"{CONFIGS.parent}/_base_/')
    text = text.replace('"../glip_', f'"{CONFIGS}/glip_')
    tiny = tiny_config(lang_model_name=vocabulary).to_dict()["model"]
    model = {part: {key: tiny[part][key] for key in keys} for part, keys in PARTS.items()}
    path = tmp_path_factory.mktemp("own") / "my_data.py"
    path.write_text(text + _SMALL.format(model=model))
    return path


@pytest.mark.slow
def test_train_then_evaluate(own_config, tmp_path, capsys):
    """With the two commands; what is evaluated is what was validated, and something is found."""
    options = ["train_cfg.max_epochs=4", "train_cfg.val_interval=2"]
    options += ["train_dataloader.dataset.times=3", "optim_wrapper.optimizer.lr=0.002"]
    with nothing_left():
        tool("train.py").main(
            [str(own_config), "--work-dir", str(tmp_path), "--seed", "0", "--cfg-options", *options]
        )
    (best,) = tmp_path.glob("best_coco_bbox_mAP_epoch_*.pth")
    assert len(list(tmp_path.glob("epoch_*.pth"))) == 1
    with nothing_left():
        tool("test.py").main(
            [str(own_config), str(best), "--work-dir", str(tmp_path / "evaluated")]
        )
    numbers = numbers_of(tmp_path / "evaluated")
    (scalars,) = tmp_path.glob("*/vis_data/scalars.json")
    validated = [json.loads(line) for line in scalars.read_text().splitlines()]
    validated = [each for each in validated if "coco/bbox_mAP" in each]
    assert len(validated) == 2
    expected = max(validated, key=lambda each: each["coco/bbox_mAP"])
    assert f"epoch_{expected['step']}.pth" in best.name
    for key, value in numbers.items():
        assert value == pytest.approx(expected[key], abs=1e-4), key
    assert numbers["coco/bbox_AR@100"] > 0
    assert "coco/bbox_mAP" in capsys.readouterr().out


@pytest.mark.parametrize("mode", list(TUNINGS))
def test_modes(own_config, mode, tmp_path):
    cfg = load_config(own_config, {"model.tuning": mode, "train_cfg.max_epochs": 1})
    cfg.randomness = dict(seed=0)
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.param_scheduler = cfg.custom_hooks = None
    with training(cfg, tmp_path) as runner:
        before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
        runner.train()
        after = {name: p.detach() for name, p in runner.model.named_parameters()}
        changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(TUNINGS[mode].trainable_prefixes) for name in changed)
    # What was learned is in the checkpoint, and the same config reads it.
    model = init_detector(cfg, tmp_path / "epoch_1.pth", device="cpu")
    read = dict(model.named_parameters())
    assert read.keys() == after.keys()
    assert all(torch.equal(read[name], after[name]) for name in changed)


def rates_of(cfg: Config, work_dir: Path) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each parameter that learns."""
    with training(cfg, work_dir) as runner:
        wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        names = {id(p): name for name, p in runner.model.named_parameters()}
        return {
            names[id(p)]: (round(group["lr"], 9), group["weight_decay"])
            for group in wrapper.optimizer.param_groups
            for p in group["params"]
        }


def test_the_prompt_learns_at_the_full_rate(own_config, tmp_path):
    options = {"model.tuning": "prompt", "optim_wrapper.optimizer.lr": 0.05}
    rates = rates_of(load_config(own_config, options), tmp_path)
    assert rates == {"language_model.prompt.weight": (0.05, 0.05)}


def test_what_learns_how_fast(own_config, tmp_path):
    """Official: the text encoder at a tenth, biases at twice the rate and without decay."""
    rates = rates_of(load_config(own_config), tmp_path)
    assert rates["backbone.stages.1.blocks.0.mlp.fc1.weight"] == (1e-4, 0.05)
    assert rates["bbox_head.bbox_pred.bias"] == (2e-4, 0.0)
    assert rates["bbox_head.token_logits.bias_lang"] == (2e-4, 0.0)
    assert {rate for name, rate in rates.items() if name.startswith("language_model.")} == {
        (1e-5, 0.05)
    }
    assert not any("patch_embed" in name or "stages.0.blocks" in name for name in rates)


def test_goes_on_to_the_same_weights(own_config, tmp_path):
    """Stopped within an epoch, the batches of one shape are those of an unbroken run."""

    def train(work_dir: Path, load_from: Path | None = None) -> dict[str, torch.Tensor]:
        cfg = load_config(own_config, {"train_cfg.max_epochs": 2, "model.tuning": "frozen_text"})
        cfg.randomness = dict(seed=5)
        cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
        cfg.param_scheduler = cfg.custom_hooks = None
        cfg.train_dataloader.batch_size = 2
        cfg.default_hooks.checkpoint = dict(type="CheckpointHook", by_epoch=False, interval=2)
        if load_from is not None:
            cfg.update(load_from=str(load_from), resume=True)
        with training(cfg, work_dir) as runner:
            runner.train()
            assert len(runner.train_dataloader) == 6
            assert runner.iter == 12
            return {name: each.detach() for name, each in runner.model.state_dict().items()}

    unbroken = train(tmp_path / "unbroken")
    resumed = train(tmp_path / "resumed", tmp_path / "unbroken" / "iter_8.pth")
    for name, each in unbroken.items():
        assert torch.equal(resumed[name], each), name


def test_unknown_mode(own_config, tmp_path):
    cfg = load_config(own_config, {"model.tuning": "some"})
    with (
        pytest.raises(USER_ERRORS, match="one of full, frozen_text, linear_probe, prompt"),
        training(cfg, tmp_path),
    ):
        pass


@pytest.mark.parametrize("part", ["train_dataloader.dataset.dataset", "val_dataloader.dataset"])
def test_wrong_paths(own_config, part, tmp_path):
    train = tool("train.py")
    option = f"{part}.ann_file=no.json"
    with pytest.raises(USER_ERRORS, match=r"there is no annotation file 'no\.json'"):
        train.main([str(own_config), "--work-dir", str(tmp_path), "--cfg-options", option])


def test_wrong_class_names(own_config, tmp_path):
    cfg = load_config(own_config)
    cfg.train_dataloader.dataset.dataset.metainfo.classes = ("sport ball", "car")
    with (
        pytest.raises(USER_ERRORS, match="'sport ball' is not in the file, but 'sports ball' is"),
        training(cfg, tmp_path) as runner,
    ):
        runner.train()


def test_as_it_stands():
    """The template's own relative paths are right, and it starts from published weights."""
    cfg = load_config(TEMPLATE)
    assert cfg.model.neck.type == "FPNDropBlock"
    assert cfg.load_from.startswith("https://")
    for loader in (cfg.train_dataloader.dataset.dataset, cfg.val_dataloader.dataset):
        assert loader.metainfo.classes == cfg.classes
    assert cfg.val_evaluator.ann_file == cfg.val_dataloader.dataset.ann_file
    assert cfg.test_dataloader == cfg.val_dataloader


# The templates that run on generated pictures as they stand

NANO = ROOT / "demo" / "glip_nano_shapes.safetensors"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Six pictures of coloured shapes, a caption each."""
    folder = tmp_path_factory.mktemp("shapes") / "mix"
    tool("dataset_converters/make_shapes.py").main([str(folder), "--num-images", "6"])
    return folder


def moved(name: str, **folders: Path) -> Config:
    """Load a template, with what it names in the root of the repository where it is here."""
    cfg = load_config(CONFIGS / "_templates" / f"{name}.py")
    places = {"data/examples": "examples", "data/shapes/mix": "shapes"}
    for node in [*walk(cfg._cfg_dict)]:
        for key, value in node.items():
            if not isinstance(value, str):
                continue
            for place, folder in places.items():
                if value.startswith(f"{place}/"):
                    value = f"{folders[folder]}{value.removeprefix(place)}"
            node[key] = f"{ROOT}/{value}" if value.startswith("demo/") else value
    cfg.randomness = dict(seed=0)
    return cfg


@pytest.mark.slow
def test_mixed(examples, shapes, tmp_path):
    """Batches have pictures of all parts, each with a prompt of its own, and it trains."""
    cfg = moved("custom_mixed", examples=examples, shapes=shapes)
    own, captions, detection = cfg.train_dataloader.dataset.datasets
    assert (own.times, captions.times, detection.times) == (8, 1, 1)
    own.times = 1
    cfg.train_cfg.max_epochs = 1
    seen = []
    with training(cfg, tmp_path) as runner:
        forward = runner.model.loss

        def loss(inputs, samples):
            seen.extend((sample.dataset_index, sample.text) for sample in samples)
            return forward(inputs, samples)

        runner.model.loss = loss
        runner.train()
        assert "val/coco/bbox_mAP" in runner.message_hub.log_scalars
    texts = [[text for index, text in seen if index == part] for part in range(3)]
    assert set(texts[0]) == {tuple(cfg.classes)}
    assert len(texts[1]) == len(texts[2]) == 6
    assert all(isinstance(text, str) for text in texts[1])
    names = set(detection.dataset.metainfo.classes)
    assert all(set(text) < names for text in texts[2])
    assert len({tuple(text) for text in texts[2]}) == 6


def test_mixed_by_weight(examples, shapes, tmp_path):
    """As much of an epoch from each part as the weights say; captions with others' beside them."""
    cfg = moved("pretrain_on_cpu", examples=examples, shapes=shapes)
    own, captions, detection = cfg.train_dataloader.dataset.datasets
    assert (own.type, captions.type, detection.type) == (
        *("RepeatDataset", "Flickr30kDataset", "RepeatDataset"),
    )
    cfg.train_dataloader.sampler.epoch_length = 16
    cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    with training(cfg, tmp_path) as runner:
        loop = runner.build_train_loop(cfg.train_cfg)
        samples = [each for batch in loop.dataloader for each in batch["data_samples"]]
    assert sorted(each.dataset_index for each in samples) == [0] * 8 + [1] * 4 + [2] * 4
    texts = [each.text for each in samples if each.dataset_index == 1]
    assert max(text.count(".") for text in texts) > 1
    for each in samples:
        if each.dataset_index == 1:
            alone = {each.text[slice(*spans[0])] for spans in each.tokens_positive}
            assert all(text.strip() == text for text in alone)


def test_the_small_model_is_the_one_that_ships(examples):
    """The same numbers of the same weights."""
    cfg = moved("finetune_on_cpu", examples=examples)
    assert cfg.load_from == str(NANO)
    ours, shipped = (init_detector(one, NANO, device="cpu") for one in (cfg, "glip_nano_shapes"))
    picture = torch.from_numpy(mmcv.imread(str(ROOT / "demo" / "shapes.jpg"))).permute(2, 0, 1)
    meta = dict(img_shape=tuple(picture.shape[1:]), text=("red ring", "green triangle"))
    found = []
    for model in (ours, shipped):
        data = dict(inputs=[picture], data_samples=[DetDataSample(metainfo=meta)])
        found.append(model.test_step(data)[0].pred_instances)
    assert len(found[0]) > 0
    assert torch.equal(found[0].bboxes, found[1].bboxes)
    assert torch.equal(found[0].scores, found[1].scores)


@pytest.mark.slow
def test_learns_new_names(examples, tmp_path):
    """Two times eight passes over twelve pictures: it finds what it had no name for."""
    cfg = moved("finetune_on_cpu", examples=examples)
    full = load_config(TEMPLATE)
    assert cfg.classes == full.classes
    assert cfg.custom_hooks == full.custom_hooks
    cfg.train_cfg.max_epochs = 2
    with training(cfg, tmp_path / "before") as runner:
        before = runner.test()["coco/bbox_mAP_50"]
    with training(cfg, tmp_path / "after") as runner:
        runner.train()
        after = runner.message_hub.log_scalars["val/coco/bbox_mAP_50"].current()
    assert before < 0.3
    assert after > 0.6
