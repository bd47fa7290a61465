"""A small real model, the files it comes from, and a photograph; made once for all tests.

It has the shape of GLIP-T (B) and weights that follow from their names, and finds about a hundred
boxes of anything in any picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from torch import nn

from glip.apis import init_detector
from glip.registry import MODELS
from glip.testing import draw_state_dict, tiny_config
from glip.visualization import DetLocalVisualizer

ROOT = Path(__file__).parents[1]

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Processes side by side share the cores.
    cores = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    torch.set_num_threads(max(cores, 1))

# Machines are shared: neither an example nor making one is too slow.
hypothesis.settings.register_profile(
    "shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared")

#: What mmengine keeps by name for the whole process; a runner leaves some of each behind.
_KEPT = (DefaultScope, MessageHub, MMLogger, Visualizer, DetLocalVisualizer)


@pytest.fixture(autouse=True)
def mmengine_as_before() -> Iterator[None]:
    """Forget what the test made mmengine keep: another test's log would go to the same folder."""
    before = [dict(kind._instance_dict) for kind in _KEPT]
    yield
    for kind, instances in zip(_KEPT, before, strict=True):
        kind._instance_dict.clear()
        kind._instance_dict.update(instances)


@pytest.fixture(scope="session")
def photo() -> Path:
    """A photograph of 640 x 427 pixels."""
    return ROOT / "demo" / "demo.jpg"


@pytest.fixture(scope="session")
def vocabulary() -> str:
    """The folder of the tokenizer."""
    return str(ROOT / "demo" / "bert-base-uncased")


@pytest.fixture(scope="session")
def tiny_cfg(vocabulary: str) -> Config:
    """The small model's config; not to be changed."""
    return tiny_config(lang_model_name=vocabulary)


@pytest.fixture(scope="session")
def tiny_config_file(tiny_cfg: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a file."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.py"
    tiny_cfg.dump(path)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_cfg: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model's weights, in the official format."""
    with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
        reference = MODELS.build(tiny_cfg.model).state_dict()
    path = tmp_path_factory.mktemp("tiny") / "tiny.pth"
    torch.save({"model": draw_state_dict(reference)}, path)
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_cfg: Config, tiny_checkpoint: Path) -> nn.Module:
    """The small model on the CPU; not to be changed."""
    return init_detector(tiny_cfg, tiny_checkpoint, device="cpu")
