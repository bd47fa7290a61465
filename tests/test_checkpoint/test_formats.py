"""Detect the naming of a state dict and convert it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from glip.checkpoint import compare, convert, detect_naming, find_state_dict
from glip.models.backbones.swin import PatchMerging
from glip.testing import draw_state_dict, tiny_config
from glip.utils.errors import CheckpointError
from tests.test_checkpoint.conftest import build, same_tensors

# --- finding the state dict -----------------------------------------------------------------------

TENSORS = {"a.weight": torch.ones(2), "b.bias": torch.zeros(3)}


@pytest.mark.parametrize(
    "checkpoint",
    [
        TENSORS,
        {"model": TENSORS},
        {"state_dict": TENSORS},
        {"state_dict": {"model": TENSORS}},
        {"model": TENSORS, "optimizer": {"state": {0: torch.ones(1)}}, "iteration": 3},
        {"state_dict": TENSORS, "model": None, "meta": {}},
        {**TENSORS, "epoch": 3, 7: "of another library"},
        {"model": {f"module.{key}": value for key, value in TENSORS.items()}},
        {f"module.{key}": value for key, value in TENSORS.items()},
    ],
)
def test_find_state_dict(checkpoint):
    same_tensors(find_state_dict(checkpoint), TENSORS)


@pytest.mark.parametrize(
    "checkpoint",
    [{}, {"model": {}}, {"epoch": 3}, {"state_dict": {"a": 1}}, {"a": {"b": torch.ones(1)}}],
)
def test_no_parameters(checkpoint):
    with pytest.raises(CheckpointError, match="holds no parameters: expected a state dict"):
        find_state_dict(checkpoint)


def test_a_long_list_of_keys_is_cut():
    with pytest.raises(CheckpointError, match=r"k0, k1, k2, k3, k4, \.\.\. \(9 in all\)$"):
        find_state_dict({f"k{index}": index for index in range(9)})


# --- detecting the naming -------------------------------------------------------------------------


def test_detect_naming(official, mmdet, ours):
    assert detect_naming(official) == "official"
    assert detect_naming(mmdet) == "mmdet"
    assert detect_naming(ours) == "glip"
    assert detect_naming({"bbox_head.cls.weight": 0, "backbone.norm3.weight": 0}) is None


def test_another_models_checkpoint():
    with pytest.raises(CheckpointError, match=r"not a GLIP checkpoint: .* got a\.weight, b\.bias$"):
        convert(TENSORS)


# --- round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("through", ["glip", "mmdet"])
def test_official_there_and_back(through, official):
    there = convert(official, through)
    assert (there.source, there.unexpected, there.ignored) == ("official", [], {})
    back = convert(there.state_dict, "official")
    assert (back.source, back.unexpected, back.ignored) == (through, [], {})
    same_tensors(back.state_dict, official)


def test_mmdet_there_and_back(mmdet, ours):
    same_tensors(convert(mmdet).state_dict, ours)
    same_tensors(convert(ours, "mmdet").state_dict, mmdet)
    assert mmdet["bbox_head.head.scales.0.scale"].shape == ()
    assert ours["bbox_head.scales.0"].shape == (1,)


def test_our_own_names_stay(ours):
    conversion = convert(ours)
    assert conversion.source == "glip"
    same_tensors(conversion.state_dict, ours)


def test_without_fusion():
    model = build(tiny_config(early_fuse=False), "meta")
    official = find_state_dict(draw_state_dict(model.state_dict()))
    conversion = convert(official)
    assert compare(conversion, model.state_dict()).ok
    same_tensors(convert(convert(official, "mmdet").state_dict, "official").state_dict, official)


def test_the_converted_weights_fill_the_model(official, tiny_cfg):
    model = build(tiny_cfg)
    assert compare(convert(official), model.state_dict()).ok


# --- the order of patch merging -------------------------------------------------------------------


class UnfoldMerging(nn.Module):
    """Patch merging as MMDetection computes it: (B, C, H, W) -> (B, H / 2 * W / 2, 2C)."""

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x):
        return self.reduction(self.norm(F.unfold(x, kernel_size=2, stride=2).transpose(1, 2)))


@pytest.fixture
def unfold_merging():
    torch.manual_seed(0)
    merging = UnfoldMerging(6)
    nn.init.normal_(merging.norm.weight)
    nn.init.normal_(merging.norm.bias)
    return merging


def merging_keys(state_dict):
    """A state dict with MMDetection's naming."""
    keys = {f"backbone.stages.1.downsample.{key}": value for key, value in state_dict.items()}
    return keys | {"bbox_head.head.bias0": torch.ones(1)}


def test_patch_merging_computes_what_mmdet_computes(unfold_merging):
    converted = convert(merging_keys(unfold_merging.state_dict())).state_dict
    prefix = "backbone.stages.1.downsample."
    ours = PatchMerging(6)
    ours.load_state_dict(
        {k.removeprefix(prefix): v for k, v in converted.items() if k.startswith(prefix)}
    )
    image = torch.randn(2, 6, 8, 10)
    theirs = unfold_merging(image).view(2, 4, 5, 12)
    torch.testing.assert_close(ours(image.permute(0, 2, 3, 1)), theirs)


def test_the_official_order_is_ours(unfold_merging):
    state_dict = {
        "backbone.body.layers.1.downsample.norm.weight": torch.arange(24.0),
        "rpn.head.bias0": torch.ones(1),
    }
    converted = convert(state_dict).state_dict["backbone.stages.1.downsample.norm.weight"]
    assert torch.equal(converted, torch.arange(24.0))
    # MMDetection's: channel by channel (the outer count), neighbours row first (steps of 6).
    mmdet = convert(state_dict, "mmdet").state_dict["backbone.stages.1.downsample.norm.weight"]
    assert mmdet.tolist() == [
        channel + 6 * neighbour for channel in range(6) for neighbour in (0, 2, 1, 3)
    ]


# --- ignored keys ---------------------------------------------------------------------------------

EXTRAS = {
    "language_backbone.body.model.embeddings.position_ids": "counts",
    "language_backbone.body.model.pooler.dense.weight": "pooler",
    "language_backbone.resizer.fc.weight": "unused",
    "rpn.head.cls_logits.weight": "never trained",
    "rpn.head.cls_logits.bias": "never trained",
    "rpn.anchor_generator.cell_anchors.0": "strides",
    "rpn.head.mlm_head.predictions.bias": "masked language modelling",
    "rpn.loss_evaluator.shallow_contrastive_projection.weight": "contrastive",
    "backbone.body.layers.0.blocks.0.attn.relative_position_index": "window size",
    "backbone.body.layers.0.blocks.1.attn_mask": "image size",
}


@pytest.mark.parametrize(("key", "reason"), EXTRAS.items())
def test_ignorable_extras(key, reason, official, ours):
    conversion = convert(official | {key: torch.ones(2)})
    assert list(conversion.ignored) == [key]
    assert reason in conversion.ignored[key]
    assert conversion.unexpected == []
    same_tensors(conversion.state_dict, ours)


def test_ignorable_extras_of_mmdet(mmdet, ours):
    extras = {
        "language_model.language_backbone.body.model.embeddings.position_ids": torch.arange(4),
        "backbone.stages.0.blocks.0.attn.w_msa.relative_position_index": torch.arange(4),
        "data_preprocessor.mean": torch.ones(3),
    }
    conversion = convert(mmdet | extras)
    assert conversion.ignored.keys() == extras.keys()
    same_tensors(conversion.state_dict, ours)


def test_an_untrained_learned_prompt(official, ours):
    conversion = convert(official | {"rpn.head.tunable_linear.weight": torch.zeros(10, 48)})
    assert "untrained" in conversion.ignored["rpn.head.tunable_linear.weight"]
    same_tensors(conversion.state_dict, ours)


def test_a_learned_prompt(official):
    learned = torch.eye(10, 48)
    conversion = convert(official | {"rpn.head.tunable_linear.weight": learned})
    assert conversion.ignored == {}
    assert torch.equal(conversion.state_dict["language_model.prompt.weight"], learned)


@pytest.mark.parametrize(
    "key",
    ["rpn.head.new_module.weight", "roi_heads.box.weight", "backbone.body.norm7.bias", "weight"],
)
def test_unknown_keys(key, official, ours):
    conversion = convert(official | {key: torch.ones(2)})
    assert conversion.unexpected == [key]
    assert conversion.ignored == {}
    same_tensors(conversion.state_dict, ours)


# --- the detector's own hook ----------------------------------------------------------------------


@pytest.mark.parametrize("naming", ["official", "mmdet", "ours"])
def test_load_state_dict_takes_every_naming(naming, request, tiny_cfg, ours):
    model = build(tiny_cfg)
    model.load_state_dict(request.getfixturevalue(naming))
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), ours)


@pytest.mark.parametrize("prefix", ["detector.", "model.", "a.b."])
@pytest.mark.parametrize("naming", ["official", "mmdet", "ours"])
def test_a_detector_within_another_module(prefix, naming, request, tiny_cfg, ours):
    model = build(tiny_cfg)
    outer = model
    for name in reversed(prefix.split(".")[:-1]):
        outer = nn.ModuleDict({name: outer, "other": nn.Linear(2, 2)})
    state_dict = {prefix + key: value for key, value in request.getfixturevalue(naming).items()}
    others = {key: value for key, value in outer.state_dict().items() if "other" in key}
    outer.load_state_dict(state_dict | others)
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), ours)


@pytest.mark.parametrize("container", ["model", "state_dict"])
@pytest.mark.parametrize("naming", ["official", "mmdet", "ours"])
def test_containers_are_opened(container, naming, request, tiny_cfg, ours):
    model = build(tiny_cfg)
    state_dict = {f"module.{key}": v for key, v in request.getfixturevalue(naming).items()}
    model.load_state_dict({container: state_dict, "optimizer": {"state": {}}, "iteration": 3})
    loaded = model.state_dict()
    loaded.pop("language_model._extra_state")
    same_tensors(dict(loaded), ours)


def test_the_given_state_dict_is_not_changed(official, tiny_cfg):
    before = list(official)
    build(tiny_cfg).load_state_dict(official)
    assert list(official) == before


@pytest.mark.parametrize("naming", ["official", "mmdet", "ours"])
def test_loading_reports_unknown_and_missing_keys(naming, request, tiny_cfg):
    state_dict = dict(request.getfixturevalue(naming))
    state_dict.pop(next(key for key in state_dict if key.endswith("bbox_pred.bias")))
    state_dict["new_module.weight"] = torch.ones(1)
    result = build(tiny_cfg).load_state_dict(state_dict, strict=False)
    assert result.missing_keys == ["bbox_head.bbox_pred.bias"]
    assert result.unexpected_keys == ["new_module.weight"]
    with pytest.raises(RuntimeError, match=r"new_module\.weight"):
        build(tiny_cfg).load_state_dict(state_dict)


def test_the_keys_of_another_model_are_unexpected(tiny_cfg):
    result = build(tiny_cfg).load_state_dict({"a.weight": torch.ones(1)}, strict=False)
    assert result.unexpected_keys == ["a.weight"]
    assert len(result.missing_keys) > 100
