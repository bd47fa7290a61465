"""What `import glip` does, and says when it cannot."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_without_mmcv_it_says_what_to_install() -> None:
    result = run("import sys; sys.modules['mmcv'] = None; import glip.registry")
    assert result.returncode != 0
    assert "pip install mmcv-lite" in result.stderr.splitlines()[-1]


def test_it_imports_no_model_code() -> None:
    """Importing the registry into another project costs that project nothing more."""
    heavy = ("transformers", "timm", "glip.models")
    result = run(f"import sys, glip; print([m for m in {heavy} if m in sys.modules])")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
