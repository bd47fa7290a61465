"""Writing checkpoints that carry their vocabulary and the name of their config."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from glip.checkpoint.formats import convert
from glip.checkpoint.key_mapping import Naming
from glip.utils.errors import CheckpointError
from glip.version import __version__

_EXTRA_STATE = "language_model._extra_state"
#: Number types that a checkpoint may be stored in.
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def write_checkpoint(
    path: str | Path,
    state_dict: Mapping[str, Tensor],
    *,
    naming: Naming = "glip",
    dtype: str | None = None,
    config: str = "",
    tokenizer: bytes = b"",
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: ends in ``.pth`` or ``.safetensors``.
        state_dict: parameters in our names.
        naming: the names to write: ours, or MMDetection's for use with MMDetection.
        dtype: ``'fp32'``, ``'fp16'``, ``'bf16'``, or ``None`` for as it is; half precision halves
            the file, and is turned back when it is loaded.
        config: name of the config the parameters belong to.
        tokenizer: of :func:`glip.text.tokenizer.tokenizer_to_bytes`.

    Raises:
        CheckpointError: another ending, an unknown number type, or nothing can be written there.
    """
    path = Path(path)
    if path.suffix not in (".pth", ".safetensors"):
        raise CheckpointError(f"expected DST to end in .pth or .safetensors, got {path.name!r}")
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"expected dtype to be one of {sorted(DTYPES)}, got {dtype!r}")
    if naming != "glip":
        state_dict = convert(state_dict, naming).state_dict
    tensors = {
        key: (value.to(DTYPES[dtype]) if dtype and value.is_floating_point() else value)
        for key, value in state_dict.items()
        if key != _EXTRA_STATE
    }
    meta = {"format": naming, "glip_version": __version__, "config": config}
    if tokenizer and naming == "glip":
        tensors[_EXTRA_STATE] = torch.tensor(list(tokenizer), dtype=torch.uint8)
    elif tokenizer:
        meta["tokenizer"] = tokenizer.decode()  # another library would not know the key
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            _save_safetensors(tensors, meta, partial)
        else:
            torch.save({"state_dict": tensors, "meta": meta}, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error
    finally:
        if partial.is_file():
            partial.unlink()


def _save_safetensors(tensors: Mapping[str, Tensor], meta: dict[str, str], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode  # what the user's umask says; safetensors lets nobody else read
    try:
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, meta)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)
