"""Generated images, drawn once, and the small model."""

from __future__ import annotations

from pathlib import Path

import pytest

from glip.apis import init_detector
from glip.models import GLIP
from tests.test_labeling.generated import CHECKPOINT, draw_shapes


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Return the image folder, and the captions; see :func:`draw_shapes`."""
    out = tmp_path_factory.mktemp("shapes")
    captions = draw_shapes(out)
    return out / "images", captions


@pytest.fixture(scope="session")
def images(shapes: tuple[Path, list[dict]]) -> Path:
    """Return the image folder."""
    return shapes[0]


@pytest.fixture(scope="session")
def captions(shapes: tuple[Path, list[dict]]) -> list[dict]:
    """Return the captions; see :func:`draw_shapes`."""
    return shapes[1]


@pytest.fixture(scope="session")
def nano() -> GLIP:
    """Return the small model on the CPU; do not change it."""
    return init_detector("glip_nano_shapes", CHECKPOINT, device="cpu")
