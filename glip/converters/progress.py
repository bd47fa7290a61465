"""The progress bar of a file that is being read."""

from __future__ import annotations

import os
from pathlib import Path

from tqdm import tqdm


def byte_progress(path: str | Path) -> tqdm:
    """Return a progress bar over the bytes of a file; use it with ``with``."""
    path = Path(path)
    return tqdm(total=os.path.getsize(path), unit="B", unit_scale=True, desc=path.name)
