"""What the data sets import."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from glip.datasets import *
from glip.datasets.odvg.dataset import ODVGDataset

heavy = ("glip.models", "glip.engine", "glip.apis", "transformers")
found = [name for name in sys.modules if name.startswith(heavy)]
assert not found, found
"""


def test_no_model_code():
    subprocess.run([sys.executable, "-c", CODE], check=True)
