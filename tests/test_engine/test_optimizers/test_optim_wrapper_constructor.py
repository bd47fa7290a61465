"""The optimizer gets the trainable parameters, in few groups, with the configured options."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

from glip.engine import DefaultOptimWrapperConstructor
from glip.registry import MODELS
from glip.utils.errors import TrainingError

OPTIMIZER = dict(type="AdamW", lr=0.01, weight_decay=0.1)
PARAMWISE = dict(
    norm_decay_mult=0.0,
    bias_lr_mult=2.0,
    bias_decay_mult=0.0,
    custom_keys=dict(text=dict(lr_mult=0.1)),
)


class Model(nn.Module):
    """A text encoder, a partly frozen backbone and a norm."""

    def __init__(self):
        super().__init__()
        self.text = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
        self.backbone = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
        self.norm = nn.LayerNorm(2)
        self.scale = nn.Parameter(torch.ones(1))
        self.backbone[0].requires_grad_(False)
        self.backbone[1].bias.requires_grad_(False)


def build(model, **more):
    with DefaultScope.overwrite_default_scope("glip"):
        return build_optim_wrapper(
            model, dict(type="OptimWrapper", optimizer=dict(OPTIMIZER), **more)
        )


def named_groups(model, wrapper):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        (group["lr"], group["weight_decay"]): {names[id(each)] for each in group["params"]}
        for group in wrapper.optimizer.param_groups
    }


LEARNING = {"scale", "backbone.1.weight", "norm.weight", "norm.bias"} | {
    f"text.{number}.{name}" for number in (0, 1) for name in ("weight", "bias")
}


@pytest.mark.parametrize("paramwise", [None, {}])
def test_without_options(paramwise):
    model = Model()
    wrapper = build(model, **({} if paramwise is None else dict(paramwise_cfg=paramwise)))
    assert named_groups(model, wrapper) == {(0.01, 0.1): LEARNING}
    assert len(wrapper.optimizer.param_groups) == 1


def test_groups():
    model = Model()
    wrapper = build(model, paramwise_cfg=PARAMWISE)
    groups = named_groups(model, wrapper)
    assert len(groups) == len(wrapper.optimizer.param_groups)
    text = {name for name in LEARNING if name.startswith("text")}
    assert groups == {
        (0.01, 0.1): {"scale", "backbone.1.weight"},
        (0.01, 0.0): {"norm.weight", "norm.bias"},
        (0.01 * 0.1, 0.1): text,
    }


def test_steps_as_without_grouping():
    """The same weights as with mmengine's constructor."""
    torch.manual_seed(0)
    model = Model()
    other = copy.deepcopy(model)
    ours = build(model, paramwise_cfg=PARAMWISE)
    theirs = build(
        other, paramwise_cfg=PARAMWISE, constructor="mmengine.DefaultOptimWrapperConstructor"
    )
    assert isinstance(theirs.optimizer, torch.optim.AdamW)
    assert len(theirs.optimizer.param_groups) > 3
    for each, wrapper in ((model, ours), (other, theirs)):
        for _ in range(3):
            wrapper.update_params(sum((p**2).sum() for p in each.parameters()))
    for (name, first), second in zip(model.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second), name


def test_order_is_the_same_each_time():
    """The state of an optimizer is loaded by position."""
    first, second = (build(Model(), paramwise_cfg=PARAMWISE).optimizer for _ in range(2))
    shapes = [
        [[tuple(each.shape) for each in group["params"]] for group in optimizer.param_groups]
        for optimizer in (first, second)
    ]
    assert shapes[0] == shapes[1]
    second.load_state_dict(first.state_dict())


def test_no_trainable_parameters():
    model = Model().requires_grad_(False)
    with pytest.raises(TrainingError, match=r"no trainable parameters.*model\.tuning"):
        build(model)


@pytest.fixture
def log(monkeypatch) -> list[str]:
    """The lines that are logged."""
    lines: list[str] = []
    monkeypatch.setattr(
        "glip.engine.optimizers.optim_wrapper_constructor.print_log",
        lambda text, logger, level=logging.INFO: lines.append(text),
    )
    return lines


@pytest.mark.parametrize(
    ("keys", "unmatched"),
    [
        (["text", "backbone.1", ".scale"], []),
        (["txet"], ["txet"]),
        (["text", "language_model", "norm.gain"], ["language_model", "norm.gain"]),
    ],
)
def test_keys_that_match_no_parameter_are_warned_of(keys, unmatched, log):
    build(Model(), paramwise_cfg=dict(custom_keys={key: dict(lr_mult=0.1) for key in keys}))
    found = [line for line in log if "has no effect: no parameter" in line]
    assert [line.split("'")[1] for line in found] == unmatched


def test_log(caplog, log):
    build(Model(), paramwise_cfg=PARAMWISE)
    assert sorted(log) == [
        "Frozen: 3 tensors, 8 parameters",
        "Learning rate 0.001, weight decay 0.1: 4 tensors, 18 parameters",
        "Learning rate 0.01, weight decay 0.1: 2 tensors, 5 parameters",
        "Learning rate 0.01, weight decay 0: 2 tensors, 4 parameters",
    ]
    assert "paramwise_options" not in caplog.text


def test_a_detector_with_a_frozen_stage(tiny_cfg):
    cfg = copy.deepcopy(tiny_cfg.model)
    cfg.backbone.frozen_stages = 1
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg)
    assert type(build(model)).__name__ == "OptimWrapper"
    given = set().union(*named_groups(model, build(model)).values())
    assert given == {name for name, each in model.named_parameters() if each.requires_grad}
    assert not any("patch_embed" in name or "stages.0.blocks" in name for name in given)
    assert DefaultOptimWrapperConstructor.__mro__[1].__module__.startswith("mmengine.")
