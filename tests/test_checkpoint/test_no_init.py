"""Models that are built for a checkpoint: nothing is drawn, and nothing is copied twice."""

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


def drawn(make) -> bool:
    before = torch.random.get_rng_state()
    make()
    return not torch.equal(before, torch.random.get_rng_state())


def test_nothing_is_drawn(tiny_cfg):
    assert drawn(lambda: build(tiny_cfg))
    with NoInit():
        assert not drawn(lambda: build(tiny_cfg))


def test_what_is_not_random_is_there(tiny_cfg, tiny_checkpoint):
    """Buffers that no checkpoint holds, too."""
    usual = build(tiny_cfg)
    with NoInit():
        model = build(tiny_cfg)
    for each in (usual, model):
        load_checkpoint(each, tiny_checkpoint)
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(model, kind)()), dict(getattr(usual, kind)())
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_parameters_are_what_was_read(tiny_cfg, tiny_checkpoint):
    model = build(tiny_cfg)
    read = load_checkpoint(model, tiny_checkpoint)["state_dict"]
    for name, parameter in model.named_parameters():
        assert parameter.data_ptr() == read[name].data_ptr(), name


def test_a_file_with_more_stays_on_disk(tiny_cfg, tiny_checkpoint, tmp_path):
    """With an optimizer's state beside the weights, say: only the weights are read."""
    content = torch.load(tiny_checkpoint, weights_only=True)
    path = tmp_path / "training.pth"
    torch.save(content | {"optimizer": dict(state=torch.zeros(4_000_000))}, path)
    model, usual = build(tiny_cfg), build(tiny_cfg)
    read = load_checkpoint(model, path)["state_dict"]
    load_checkpoint(usual, tiny_checkpoint)
    for name, parameter in model.named_parameters():
        assert parameter.data_ptr() != read[name].data_ptr(), name
        assert torch.equal(parameter, usual.get_parameter(name))


def test_settings_of_parameters_stay():
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
def test_what_does_not_fit_is_left(tensor):
    model = nn.Linear(2, 3)
    before = model.weight.data_ptr()
    assign_parameters(model, dict(weight=tensor))
    assert model.weight.data_ptr() == before


def test_two_do_not_share():
    """Parameters that are equal in the file are trained apart."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared = torch.ones(2, 2)
    assign_parameters(model, {"0.weight": shared, "1.weight": shared})
    assert model[0].weight.data_ptr() == shared.data_ptr()
    assert model[1].weight.data_ptr() != shared.data_ptr()
