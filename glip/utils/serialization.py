"""Plain values for files that are read without unpickling arbitrary objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def to_builtin(value: Any) -> Any:
    """Convert a value to built-in types, tensors and arrays, which a restricted unpickler accepts.

    Dictionaries, lists and tuples are converted recursively, numpy scalars become numbers, and any
    other object becomes its ``str``.
    """
    if isinstance(value, dict):
        return {key: to_builtin(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_builtin(item) for item in value]
    if isinstance(value, tuple):  # a named tuple is a class of its own
        return tuple(to_builtin(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, bytes, torch.Tensor, np.ndarray)):
        return value
    return str(value)
