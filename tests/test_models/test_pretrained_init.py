"""``init_cfg=dict(type='Pretrained')`` reads a file as every checkpoint is read."""

import os
import pickle

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from glip.utils.errors import CheckpointError


class Layer(BaseModule):
    def __init__(self, **init_cfg):
        super().__init__(dict(type="Pretrained", **init_cfg))
        self.linear = nn.Linear(2, 3)


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def initialise(layer):
    with DefaultScope.overwrite_default_scope("glip"):
        layer.init_weights()


@pytest.mark.parametrize("prefix", [None, "backbone", "backbone."])
def test_it_copies(tmp_path, prefix):
    key = "linear.weight" if prefix is None else "backbone.linear.weight"
    value = torch.arange(6.0).reshape(3, 2)
    torch.save({"state_dict": {key: value, "steps": torch.tensor(3)}}, tmp_path / "a.pth")
    layer = Layer(checkpoint=str(tmp_path / "a.pth"), prefix=prefix)
    bias = layer.linear.bias.clone()
    initialise(layer)
    assert torch.equal(layer.linear.weight, value)
    assert torch.equal(layer.linear.bias, bias)


def test_nothing_is_executed(tmp_path):
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"state_dict": Code(str(tmp_path / "made"))}))
    with pytest.raises(CheckpointError, match="run code"):
        initialise(Layer(checkpoint=str(tmp_path / "a.pth")))
    assert not (tmp_path / "made").exists()


def test_a_file_of_another_module(tmp_path):
    torch.save({"conv.weight": torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="no parameter of Layer"):
        initialise(Layer(checkpoint=str(tmp_path / "a.pth")))


def test_integer_weights_are_no_weights(tmp_path):
    torch.save({"linear.weight": torch.ones(3, 2, dtype=torch.int64)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="no parameter of Layer"):
        initialise(Layer(checkpoint=str(tmp_path / "a.pth")))
