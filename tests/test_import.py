"""What importing the library costs, and what it says without mmcv."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("statement", ["import glip.registry", "from glip import MODELS"])
def test_without_mmcv_it_says_what_to_install(statement: str) -> None:
    result = run(f"import sys; sys.modules['mmcv'] = None; {statement}")
    assert result.returncode != 0
    assert "pip install mmcv-lite" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("statement", ["import glip", "from glip import MODELS"])
def test_it_imports_no_model_code(statement: str) -> None:
    """Importing the registry into another project costs that project nothing more."""
    heavy = ("transformers", "timm", "glip.models")
    result = run(f"import sys; {statement}; print([m for m in {heavy} if m in sys.modules])")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
