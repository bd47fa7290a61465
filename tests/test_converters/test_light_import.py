"""The converters need neither torch nor model code."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import importlib, pkgutil, sys
import glip.converters
for module in pkgutil.iter_modules(glip.converters.__path__):
    importlib.import_module(f"glip.converters.{module.name}")
heavy = ("torch", "mmcv", "transformers", "timm", "glip.models", "glip.apis")
print([name for name in heavy if name in sys.modules])
"""


def test_no_torch():
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
