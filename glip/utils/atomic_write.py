"""Writing files whole or not at all, and keeping them readable without unpickling objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch


def atomic_write(path: str | Path, content: bytes) -> None:
    """Write a small file; who reads it at any moment gets the old content or the new one."""
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    fsync_rename(partial, path)


def fsync_rename(partial: str | Path, path: str | Path) -> None:
    """Give a finished file its name.

    Its content is on the disk before the name is, so a machine that goes down leaves the old file
    or the new one, never an empty one.
    """
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def to_builtin(value: Any) -> Any:
    """Replace what a safe reader refuses (numpy scalars, prompts, paths) by plain values."""
    if isinstance(value, dict):
        return {key: to_builtin(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        # A named tuple would be an object of its own.
        return (
            tuple(map(to_builtin, value))
            if isinstance(value, tuple)
            else [to_builtin(x) for x in value]
        )
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.Tensor, np.ndarray)):
        return value
    return str(value)
