"""The three architectures with the reference weights, each built once and dropped again."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import psutil
import pytest
from mmengine.registry import DefaultScope
from torch import nn

import glip
from glip.checkpoint import compare, convert, find_state_dict
from glip.registry import MODELS
from glip.testing import draw_state_dict
from tests.test_parity.golden import CONFIGS, ROOT


@pytest.fixture(scope="module", params=list(CONFIGS))
def reference_model(request: pytest.FixtureRequest) -> Iterator[tuple[str, nn.Module]]:
    """A letter and its model, whose weights went through the official format and our converter."""
    letter = request.param
    if letter == "L" and psutil.virtual_memory().available < 8e9:
        pytest.skip("GLIP-L needs 8 GB of free memory")
    cfg = glip.get_config(CONFIGS[letter])
    cfg.model.language_model.name = str(ROOT / "demo" / "bert-base-uncased")
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    official = {"model": draw_state_dict(model.state_dict())}
    conversion = convert(find_state_dict(official))
    assert compare(conversion, model.state_dict()).ok
    model.load_state_dict(conversion.state_dict, strict=False)
    del official, conversion
    yield letter, model
    del model
    gc.collect()
