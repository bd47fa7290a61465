"""Small checkpoints in the three namings, and the shapes of the full-size models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from glip.apis import inference_detector
from glip.checkpoint import convert, find_state_dict
from glip.config import get_config, list_models
from glip.registry import MODELS

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
#: The shipped configs by the letters of the reference files; GLIP-T has the keys of C.
LETTERS = {
    "A": "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
    "B": "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
    "C": "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg",
    "L": "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata",
}

State = dict[str, Tensor]


def build(cfg: Config, device: str = "cpu") -> nn.Module:
    """Build a detector."""
    with DefaultScope.overwrite_default_scope("glip"), torch.device(device):
        model = MODELS.build(cfg.model).eval()
    model.cfg = cfg
    return model


@pytest.fixture(scope="session")
def golden_keys() -> Callable[[str], State]:
    """The keys and shapes of the official and MMDetection's files, as meta tensors."""

    def read(name: str) -> State:
        path = GOLDEN / f"keys_{name}.json"
        if not path.is_file():
            pytest.skip("the reference files are not beside the clone")
        keys = json.loads(path.read_text())
        return {key: torch.empty(shape, device="meta") for key, (shape, _) in keys.items()}

    return read


@pytest.fixture(scope="session")
def shipped() -> dict[str, State]:
    """The state dict of every pre-trained model's config, as meta tensors."""
    return {
        name: build(get_config(name), "meta").state_dict()
        for name, entry in list_models().items()
        if "Official Weights File" in entry
    }


@pytest.fixture(scope="session")
def official(tiny_checkpoint: Path) -> State:
    """The small model's weights in the official naming; do not change them."""
    return find_state_dict(torch.load(tiny_checkpoint, weights_only=True))


@pytest.fixture(scope="session")
def ours(official: State) -> State:
    """The same in our naming."""
    return convert(official).state_dict


@pytest.fixture(scope="session")
def mmdet(official: State) -> State:
    """The same in MMDetection's naming."""
    return convert(official, "mmdet").state_dict


@pytest.fixture(scope="session")
def detect(photo: Path) -> Callable[[nn.Module], tuple[Tensor, Tensor, Tensor]]:
    """Boxes, scores and labels that a detector finds in the photograph."""

    def run(model: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
        sample = inference_detector(model, str(photo), text_prompt=["bench", "hair drier", "car"])
        found = sample.pred_instances
        assert len(found) > 10
        return found.bboxes, found.scores, found.labels

    return run


def same_tensors(left: State, right: State) -> None:
    """Check that two state dicts are equal bit for bit."""
    assert left.keys() == right.keys()
    for key, value in left.items():
        assert value.shape == right[key].shape, key
        assert value.dtype == right[key].dtype, key
        assert torch.equal(value, right[key]), key
