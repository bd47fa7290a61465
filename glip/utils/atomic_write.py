"""Atomic writes: a reader, or a crash at any moment, finds the old file or the complete new one."""

from __future__ import annotations

import os
from pathlib import Path


def atomic_write(path: str | Path, content: bytes) -> None:
    """Write a small file atomically."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    fsync_rename(partial, path)


def fsync_rename(partial: str | Path, path: str | Path) -> None:
    """Rename a finished file over ``path`` atomically.

    The content is flushed to the disk before the rename, so that after a power failure ``path`` is
    the old file or the new one, never an empty one.
    """
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
