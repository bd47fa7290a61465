"""The pictures that the trainings here learn from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training import draw_examples


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated examples."""
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")
