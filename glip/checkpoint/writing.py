"""Write checkpoints that include their vocabulary and the name of their config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from glip.checkpoint.formats import convert
from glip.checkpoint.key_mapping import VOCABULARY_KEY, Naming
from glip.utils.atomic_write import fsync_rename
from glip.utils.errors import CheckpointError
from glip.version import __version__

#: The dtypes that a checkpoint can be stored in.
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
    """Write a checkpoint atomically.

    Args:
        path: a file with the extension ``.pth`` or ``.safetensors``.
        state_dict: parameters in our naming.
        naming: the naming to write: ours, or MMDetection's for use with MMDetection.
        dtype: ``'fp32'``, ``'fp16'``, ``'bf16'``, or ``None`` to keep the dtypes. Half precision
            halves the file; loading converts it back to the model's dtype.
        config: name of the config that the parameters belong to.
        tokenizer: as :func:`glip.text.tokenizer.tokenizer_to_bytes` returns it.

    Raises:
        CheckpointError: the file extension or the dtype is another one, or the file cannot be
            written.
    """
    path = check_extension(path)
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"expected dtype to be one of {sorted(DTYPES)}, got {dtype!r}")
    if naming != "glip":
        state_dict = convert(state_dict, naming).state_dict
    tensors = {
        key: (value.to(DTYPES[dtype]) if dtype and value.is_floating_point() else value)
        for key, value in state_dict.items()
        if key != VOCABULARY_KEY
    }
    meta = {"format": naming, "glip_version": __version__, "config": config}
    if tokenizer and naming == "glip":
        tensors[VOCABULARY_KEY] = torch.tensor(list(tokenizer), dtype=torch.uint8)
    elif tokenizer:
        meta["tokenizer"] = tokenizer.decode()  # MMDetection's model has no such key
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            _save_safetensors(tensors, meta, partial)
        else:
            torch.save({"state_dict": tensors, "meta": meta}, partial)
        fsync_rename(partial, path)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error
    finally:
        if partial.is_file():
            partial.unlink()


def check_extension(path: str | Path) -> Path:
    """Return the path of a checkpoint to write.

    Raises:
        CheckpointError: its file extension is not ``.pth`` or ``.safetensors``.
    """
    path = Path(path)
    if path.suffix not in (".pth", ".safetensors"):
        raise CheckpointError(f"expected DST to end in .pth or .safetensors, got {path.name!r}")
    return path


def _save_safetensors(tensors: Mapping[str, Tensor], meta: dict[str, str], path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode  # by the user's umask; safetensors makes files readable by the owner
    try:
        save_file({key: value.contiguous() for key, value in tensors.items()}, path, meta)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    path.chmod(mode)
