"""Atomic writes: a reader, or a crash at any moment, finds the old file or the complete new one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def atomic_write(path: str | Path, content: bytes) -> None:
    """Write a small file atomically."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    fsync_rename(partial, path)


@contextmanager
def atomic_open(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` atomically when the block ends.

    Several processes may write the same path at once: each writes a temporary file of its own. If
    the block raises, ``path`` stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with open(partial, "wb") as file:
            yield file
        fsync_rename(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def fsync_rename(partial: str | Path, path: str | Path) -> None:
    """Rename a finished file over ``path`` atomically.

    The content is flushed to the disk before the rename, so that after a power failure ``path`` is
    the old file or the new one, never an empty one.
    """
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
