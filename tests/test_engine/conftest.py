"""The examples that the trainings here learn from; nothing else is left of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_tools.training import nothing_left
from tests.training import draw_examples


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated examples."""
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    with nothing_left():
        yield
