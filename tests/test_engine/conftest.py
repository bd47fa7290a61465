"""The data of the trainings in these tests, which leave nothing else behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_tools.training import nothing_left
from tests.training import draw_examples


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the generated examples."""
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with nothing_left():
        yield
