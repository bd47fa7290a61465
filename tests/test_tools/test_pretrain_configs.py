"""The recipes of the pre-training: official settings, and every one of them trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from glip.apis import load_config
from glip.datasets import WeightedConcatSampler
from glip.datasets.odvg import (
    RecordWriter,
    Region,
    detection_record,
    grounding_record,
    write_label_map,
)
from glip.engine import last_checkpoint
from glip.registry import DATASETS
from tests.test_tools.commands import CONFIGS, tool
from tests.test_tools.test_train import killed, same, train
from tests.test_tools.training import nothing_left, small_training, training, walk

NAMES = {
    path.stem.split("swin-")[1].split("_fpn")[0]: path.stem for path in CONFIGS.glob("pretrain/*")
}
#: The published model's config, how many data sets.
MODELS_AND_SETS = {
    "t_a": ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", 1),
    "t_b": ("glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365", 1),
    "t_c": ("glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg", 3),
    "t": ("glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub", 5),
    "l": ("glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata", 9),
}
CLASSES = ("cat", "dog", "traffic light", "sports ball", "umbrella")
each_recipe = pytest.mark.parametrize("model", MODELS_AND_SETS)


def data_sets(cfg: Config) -> list[dict]:
    dataset = cfg.train_dataloader.dataset
    return dataset.get("datasets", [dataset])


def write_lines(folder: Path, dataset: dict, count: int) -> None:
    """Write a data set of a config, every second picture upright."""
    images = folder / dataset["data_prefix"]["img"]
    images.mkdir(parents=True, exist_ok=True)
    with RecordWriter(folder / dataset["ann_file"]) as writer:
        for at in range(count):
            size = (120, 90) if at % 2 else (90, 120)
            line = dict(filename=f"{at}.png", width=size[0], height=size[1])
            Image.new("RGB", size, (40 * at, 90, 160)).save(images / line["filename"])
            boxes = [[5.0 + at, 8.0, 60.0, 70.0 + at], [20.0, 30.0, 80.0, 85.0]]
            if "label_map_file" in dataset:
                names = [(box, (at + k) % 5, CLASSES[(at + k) % 5]) for k, box in enumerate(boxes)]
                writer.write(detection_record(**line, instances=names))
            else:
                caption = f"picture {at} of a dog left of a red umbrella"
                regions = [
                    Region([boxes[0]], "a dog", [[caption.index("a dog"), caption.index(" left")]]),
                    Region([boxes[1]], "a red umbrella", [], [0.9]),
                ]
                writer.write(grounding_record(**line, caption=caption, regions=regions))
    if "label_map_file" in dataset:
        write_label_map(folder / dataset["label_map_file"], CLASSES)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """The folder ``data/``: COCO's validation, and every data set of the largest recipe."""
    folder = tmp_path_factory.mktemp("data")
    tool("dataset_converters/make_examples.py").main([str(folder / "examples")])
    root = folder / "examples"
    for number, dataset in enumerate(data_sets(load_config(NAMES["l"]))):
        write_lines(root, dataset, 2 + number % 3 if number else 4)
    return f"{root}/"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with nothing_left():
        yield


def small(model: str, data: str, vocabulary: str) -> Config:
    cfg = small_training(NAMES[model], data, vocabulary)
    names = {each["tokenizer_name"] for each in walk(cfg._cfg_dict) if "tokenizer_name" in each}
    assert names == {vocabulary}
    return cfg


def test_all_are_here():
    assert NAMES.keys() == MODELS_AND_SETS.keys()


@each_recipe
def test_settings_are_the_official_ones(model):
    cfg = load_config(NAMES[model])
    base, count = MODELS_AND_SETS[model]
    large = model == "l"
    assert len(data_sets(cfg)) == count
    # 64 images a step: of 32 processes, for GLIP-L 64.
    assert cfg.train_dataloader.batch_size == (1 if large else 2)
    assert cfg.auto_scale_lr.base_batch_size == 64
    assert cfg.optim_wrapper.optimizer.lr == 1e-4
    assert cfg.optim_wrapper.optimizer.weight_decay == (1e-2 if large else 1e-4)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=1, norm_type=2)
    warmup, steps, *decay = cfg.param_scheduler
    assert (warmup.start_factor, warmup.end) == (0.001, 2000)
    length = cfg.train_cfg.get("max_iters", cfg.train_cfg.get("max_epochs"))
    assert length == (1_000_000 if large else 30)
    for found, official in zip(steps.milestones, (0.67, 0.89), strict=True):
        assert found / length == pytest.approx(official, abs=0 if large else 0.5 / 30)
    assert [each.param_name for each in decay] == ["weight_decay"] * large
    assert [each.type for each in cfg.custom_hooks] == ["EMAHook"] * (not large)
    for pipeline in (dataset["pipeline"] for dataset in data_sets(cfg)):
        steps = {step["type"]: step for step in pipeline}
        scales = steps["RandomChoiceResize"]["scales"]
        assert scales == [(1333, short) for short in (480, 560, 640, 720, 800)]
        assert steps["RandomSamplingNegPos"]["num_sample_negative"] == 85
    # The model is the published one, with what is on in training only.
    expected = load_config(base).model.to_dict()
    expected["neck"]["type"] = "FPNDropBlock"
    expected["bbox_head"]["use_checkpoint"] = True
    assert cfg.model.to_dict() == expected
    assert expected["backbone"]["drop_path_rate"] == (0.4 if large else 0.2)


def test_captions_are_packed_where_boxes_are_pseudo():
    for dataset in data_sets(load_config(NAMES["l"])):
        steps = [step["type"] for step in dataset["pipeline"]]
        pseudo = "pseudo" in dataset["ann_file"]
        assert ("PackNegativeCaptions" in steps) == pseudo
        assert dataset.get("score_thr", 0) == (0.5 if pseudo else 0)


@pytest.mark.parametrize(
    "model",
    ["t_a", "t", "l", *(pytest.param(one, marks=pytest.mark.slow) for one in ("t_b", "t_c"))],
)
def test_trains(model, data, vocabulary, tmp_path):
    """Two steps; learning rates and weight decays are those of the official groups."""
    cfg = small(model, data, vocabulary)
    cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    length = "max_iters" if model == "l" else "max_epochs"
    cfg.train_cfg[length] = 2 if model == "l" else 1
    if model in ("t_a", "t_b"):
        cfg.train_dataloader.num_batch_per_epoch = 2
    elif model != "l":
        cfg.train_dataloader.update(batch_size=3)
        cfg.train_dataloader.sampler.epoch_length = 6
    with training(cfg, tmp_path) as runner:
        before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
        runner.train()
        assert runner.iter == 2
        kinds = {type(hook).__name__ for hook in runner.hooks}
        assert ("EMAHook" in kinds) == (model != "l")
        parts = {
            name.split(".")[0]
            for name, p in runner.model.named_parameters()
            if not torch.equal(p.detach(), before[name])
        }
        assert parts == {"backbone", "neck", "bbox_head", "language_model"}
        settings = {
            id(p): (group["initial_lr"], group["weight_decay"])
            for group in runner.optim_wrapper.param_groups
            for p in group["params"]
        }
        decay = cfg.optim_wrapper.optimizer.weight_decay
        for name, p in runner.model.named_parameters():
            if not p.requires_grad:
                continue
            rate = 1e-5 if name.startswith("language_model") else 1e-4
            expected = (2 * rate, 0.0) if "bias" in name else (rate, decay)
            assert settings[id(p)] == pytest.approx(expected), name


def test_weights_of_the_largest(data, vocabulary):
    """In hundreds of images instead of millions."""
    cfg = small("l", data, vocabulary)
    with DefaultScope.overwrite_default_scope("glip"):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
    weights = cfg.train_dataloader.sampler.weights
    sampler = WeightedConcatSampler(dataset, weights=weights, epoch_length=2693, seed=0)
    assert sampler.counts == [280, 200, 120, 133, 120, 240, 300, 1200, 100]


def test_weight_decay_falls(data, vocabulary, tmp_path):
    """Before the learning rate does, in the parameters that have one."""
    cfg = small("l", data, vocabulary)
    cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    cfg.train_cfg.max_iters = 4
    cfg.param_scheduler[0].end = 2
    cfg.param_scheduler[1].milestones = [3]
    cfg.param_scheduler[2].milestones = [2]
    with training(cfg, tmp_path) as runner:
        seen = []
        loop = runner.build_train_loop(cfg.train_cfg)
        step = loop.run_iter

        def run_iter(batch):
            groups = runner.optim_wrapper.param_groups
            seen.append({(round(g["lr"], 12), round(g["weight_decay"], 12)) for g in groups})
            step(batch)

        loop.run_iter = run_iter
        runner._train_loop = loop
        runner.train()
    assert [max(decay for _, decay in each) for each in seen] == [0.01, 0.01, 0.001, 0.001]
    assert [max(rate for rate, _ in each) for each in seen] == [2e-7, 2e-4, 2e-4, 2e-5]
    assert all(min(decay for _, decay in each) == 0 for each in seen)


@pytest.mark.kills
def test_killed_and_resumed(data, vocabulary, tmp_path):
    """Both kinds of lines, mixed by weight, captions of others: the same to the last bit."""
    cfg = small("t", data, vocabulary)
    cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None)
    cfg.train_cfg.max_epochs = 2
    cfg.train_dataloader.sampler.update(weights=[2, 1, 1, 1, 1], epoch_length=6)
    cfg.default_hooks.checkpoint.interval = 2
    for name in ("whole", "parts"):
        cfg.work_dir = str(tmp_path / name)
        cfg.experiment_name = name
        if name == "parts":
            killed(cfg, tmp_path / "killed", dict(type="mmengine.KillHook", iteration=4))
            assert Path(last_checkpoint(cfg.work_dir)).name == "iter_4.pth"
            cfg.train_dataloader.num_workers = 2
            train(cfg, tmp_path / "config", "--resume")
        else:
            train(cfg, tmp_path / "config")
    same(tmp_path / "whole", tmp_path / "parts")
