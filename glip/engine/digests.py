"""Digests of what a run depends on, by which a resumed run finds out that something changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from mmengine.dataset.base_dataset import is_abs
from mmengine.fileio import join_path
from torch import nn

#: Files up to this size are read whole; of a larger one, evenly spaced blocks.
_LARGE_FILE = 1 << 30
_BLOCK = 1 << 20
_NUM_BLOCKS = 256


def text_digest(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def file_digest(path: str | os.PathLike) -> str:
    """Return the digest of a file's content.

    Of a file above 1 GiB (shards with images), only the size and 256 evenly spaced blocks of 1 MiB
    are digested.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()  # CPUs have instructions for it, unlike BLAKE2
    size = os.path.getsize(path)
    digest.update(str(size).encode())
    with open(path, "rb") as file:
        if size > _LARGE_FILE:
            for number in range(_NUM_BLOCKS):
                file.seek((size - _BLOCK) * number // (_NUM_BLOCKS - 1))
                digest.update(file.read(_BLOCK))
        else:
            while content := file.read(_BLOCK):
                digest.update(content)
    return digest.hexdigest()


def annotation_digests(dataset: Any) -> dict[str, str]:
    """Return the digest of each local annotation file of a data set, by its path as configured.

    Args:
        dataset: config of a data set, which may concatenate or wrap others.
    """
    digests: dict[str, str] = {}
    for name, path in _files(dataset, ""):
        if name not in digests and os.path.isfile(path):
            digests[name] = file_digest(path)
    return digests


def weights_digest(model: nn.Module) -> str:
    """Return the digest of a model's parameters and buffers, tokenizer included."""
    state = model.state_dict()
    with ThreadPoolExecutor() as pool:  # hashlib releases the GIL
        return text_digest("\n".join(pool.map(_describe, state, state.values())))


def _describe(name: str, value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return f"{name} {value!r}"
    content = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    digest = hashlib.sha256(content.data).hexdigest()
    return f"{name} {value.dtype} {tuple(value.shape)} {digest}"


def _files(node: Any, root: str) -> Iterator[tuple[str, str]]:
    """Yield the values of ``*_file`` in a config, and their paths with the data set's root."""
    if isinstance(node, Mapping):
        root = node.get("data_root") or root
        for key, value in node.items():
            if isinstance(value, str) and str(key).endswith("_file") and value:
                yield value, value if is_abs(value) or not root else join_path(root, value)
            else:
                yield from _files(value, root)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _files(value, root)
