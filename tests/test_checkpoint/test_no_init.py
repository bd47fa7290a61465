"""Models built for a checkpoint: no random initialisation and no second copy of the weights."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from glip.checkpoint import NoInit, load_checkpoint
from glip.checkpoint.no_init import assign_parameters
from glip.registry import MODELS


def build(cfg) -> nn.Module:
    with DefaultScope.overwrite_default_scope("glip"):
        return MODELS.build(cfg.model)


def uses_rng(make) -> bool:
    before = torch.random.get_rng_state()
    make()
    return not torch.equal(before, torch.random.get_rng_state())


def test_no_random_initialisation(tiny_cfg):
    assert uses_rng(lambda: build(tiny_cfg))
    with NoInit():
        assert not uses_rng(lambda: build(tiny_cfg))


def test_deterministic_initialisation_is_kept(tiny_cfg, tiny_checkpoint):
    """This includes buffers that no checkpoint holds."""
    initialised = build(tiny_cfg)
    with NoInit():
        model = build(tiny_cfg)
    for each in (initialised, model):
        load_checkpoint(each, tiny_checkpoint)
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(model, kind)()), dict(getattr(initialised, kind)())
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_parameters_use_the_memory_of_the_checkpoint(tiny_cfg, tiny_checkpoint):
    model = build(tiny_cfg)
    read = load_checkpoint(model, tiny_checkpoint)["state_dict"]
    for name, parameter in model.named_parameters():
        assert parameter.data_ptr() == read[name].data_ptr(), name


def test_a_training_checkpoint_is_memory_mapped(tiny_cfg, tiny_checkpoint, tmp_path):
    """Of a file with an optimizer's state, only the weights are read."""
    content = torch.load(tiny_checkpoint, weights_only=True)
    path = tmp_path / "training.pth"
    torch.save(content | {"optimizer": dict(state=torch.zeros(4_000_000))}, path)
    model, initialised = build(tiny_cfg), build(tiny_cfg)
    read = load_checkpoint(model, path)["state_dict"]
    load_checkpoint(initialised, tiny_checkpoint)
    for name, parameter in model.named_parameters():
        assert parameter.data_ptr() != read[name].data_ptr(), name
        assert torch.equal(parameter, initialised.get_parameter(name))


def test_parameters_stay_the_same_objects():
    model = nn.Linear(2, 3)
    model.weight.requires_grad_(False)
    weight, bias = model.weight, model.bias
    assign_parameters(model, dict(weight=nn.Parameter(torch.ones(3, 2)), bias=torch.ones(3)))
    assert model.weight is weight
    assert model.bias is bias
    assert not weight.requires_grad
    assert bias.requires_grad
    assert weight.eq(1).all()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(3, 2, dtype=torch.half),
        torch.ones(2, 3),
        torch.ones(2, 3).T,  # strided
        torch.ones(6, 2)[:3],  # a part of something larger
    ],
)
def test_unsuitable_tensors_are_not_assigned(tensor):
    model = nn.Linear(2, 3)
    before = model.weight.data_ptr()
    assign_parameters(model, dict(weight=tensor))
    assert model.weight.data_ptr() == before


def test_parameters_do_not_share_memory():
    """A tensor that the file has twice becomes two parameters."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared = torch.ones(2, 2)
    assign_parameters(model, {"0.weight": shared, "1.weight": shared})
    assert model[0].weight.data_ptr() == shared.data_ptr()
    assert model[1].weight.data_ptr() != shared.data_ptr()
