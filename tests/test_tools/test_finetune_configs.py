"""The configs for fine-tuning on COCO: MMDetection's recipe. Ours and MMDetection's own train."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from glip.apis import load_config
from glip.config import list_models
from tests.test_tools.commands import tool
from tests.test_tools.training import small_training, training

NAMES = [name for name in list_models() if "funtune_coco" in name]
# Found without being imported: this library does not need it.
SPEC = importlib.util.find_spec("mmdet")
THEIRS = Path(SPEC.origin).parent / ".mim" / "configs" / "glip" if SPEC else None
# (C) and GLIP-T are (B) from other weights, see test_one_base.
each_training = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if "t_c" in name or "t_fpn" in name else [])
        for name in NAMES
    ],
)
needs_mmdet = pytest.mark.skipif(not SPEC, reason="mmdet is not installed")


@pytest.fixture(scope="module")
def coco(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("examples")
    tool("dataset_converters/make_examples.py").main([str(folder)])
    return f"{folder}/coco/"


def train_two_steps(cfg: Config, work_dir: Path) -> None:
    """Check that two steps and a validation run, and that the steps change what learns."""
    cfg.train_cfg.max_epochs = 1
    cfg.train_dataloader.num_batch_per_epoch = 2
    with training(cfg, work_dir) as runner:
        before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
        runner.train()
        scalars = runner.message_hub.log_scalars
        assert runner.iter == 2
        for name in ("loss", "loss_cls", "loss_bbox", "loss_centerness"):
            assert torch.isfinite(torch.tensor(scalars[f"train/{name}"].current())), name
        assert 0 <= scalars["val/coco/bbox_mAP"].current() <= 1
        changed = [
            name
            for name, p in runner.model.named_parameters()
            if not torch.equal(p.detach(), before[name])
        ]
    parts = {name.split(".")[0] for name in changed}
    assert parts == {"backbone", "neck", "bbox_head", "language_model"}
    # In GLIP-T (A) nothing comes from the levels without a box, and from words of no caption.
    assert len(changed) > 0.8 * len(before)


def test_all_are_here():
    assert len(NAMES) == 5


@each_training
def test_trains(name, coco, vocabulary, tmp_path):
    cfg = small_training(name, coco, vocabulary)
    assert cfg.train_dataloader.batch_size == 2
    train_two_steps(cfg, tmp_path)


@needs_mmdet
@each_training
def test_mmdetections_trains(name, coco, vocabulary, tmp_path):
    """Only ``default_scope`` is another (and everything smaller)."""
    # Their head has its own argument for the width, and one width of the fusion.
    cfg = small_training(THEIRS / f"{name}.py", coco, vocabulary, leave=["fusion_dim"])
    cfg.model.bbox_head.feat_channels = cfg.model.bbox_head.in_channels
    train_two_steps(cfg, tmp_path)


@needs_mmdet
@pytest.mark.parametrize("name", NAMES)
def test_recipe_is_mmdetections(name):
    ours, theirs = (load_config(one) for one in (name, THEIRS / f"{name}.py"))
    assert ours.load_from == theirs.load_from
    assert ours.train_cfg.to_dict() == theirs.train_cfg.to_dict()
    assert ours.param_scheduler == theirs.param_scheduler
    for key in ("optimizer", "clip_grad"):
        assert ours.optim_wrapper[key] == theirs.optim_wrapper[key]
    mults = ours.optim_wrapper.paramwise_cfg.custom_keys
    assert mults.pop("bert") == dict(lr_mult=1.0)
    assert dict(mults, absolute_pos_embed=dict(decay_mult=0.0)) == (
        theirs.optim_wrapper.paramwise_cfg.custom_keys
    )
    for key in ("neck.type", "backbone.drop_path_rate", "bbox_head.use_checkpoint"):
        part, option = key.split(".")
        assert ours.model[part].get(option) == theirs.model[part].get(option)
    assert ours.model.backbone.get("frozen_stages", -1) == -1
    loaders = [cfg.train_dataloader.to_dict() for cfg in (ours, theirs)]
    for loader in loaders:
        loader["dataset"]["dataset"]["data_prefix"].pop("_scope_", None)
        steps = loader["dataset"]["dataset"].pop("pipeline")
        loader["pipeline"] = {step.pop("type"): step for step in steps}
        keys = loader["pipeline"]["PackDetInputs"].pop("meta_keys")
        # Ours also train on other words for a name, and on captions.
        assert set(keys) - {"caption_prompt", "tokens_positive"} == {
            *("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            *("flip", "flip_direction", "text", "custom_entities"),
        }
    assert loaders[0] == loaders[1]


def test_one_base():
    """(C) and GLIP-T are (B) from other weights."""
    base, *others = (
        load_config(f"glip_atss_swin-{one}_fpn_dyhead_16xb2_ms-2x_funtune_coco").to_dict()
        for one in ("t_b", "t_c", "t")
    )
    starts = {base.pop("load_from"), *(other.pop("load_from") for other in others)}
    assert len(starts) == 3
    assert all(other == base for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_starts_from_the_pretrained_weights(name):
    model = name.split("_fpn")[0]
    published = [
        entry["Weights"]
        for other, entry in list_models().items()
        if other.startswith(f"{model}_fpn") and "Official Weights File" in entry
    ]
    assert published == [load_config(name).load_from]
