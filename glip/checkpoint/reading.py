"""Read stored files without running code that they may contain.

A ``.pth`` or ``.pkl`` file is a pickle, which can run any code when it is loaded. The readers here
accept tensors, numpy arrays, plain containers and the logged scalars of mmengine's runner.
"""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

from glip.checkpoint.pickle_checks import RefusedObjectError, UnsupportedContentError
from glip.checkpoint.torch_file import load_torch_file
from glip.utils.errors import CheckpointError, summarize
from glip.weights import download_url, find_weights_file


def read_checkpoint(
    source: str | Path, *, mmap: bool = True, verify: bool | None = None
) -> dict[str, Any]:
    """Read a ``.pth`` or ``.safetensors`` file.

    Args:
        source: a path, or a URL or a name of published weights, which are downloaded once; see
            :func:`glip.weights.find_weights_file`.
        mmap: whether to memory-map the tensors, so that a tensor is read on its first use. They
            change with the file: use it to read a part of a file, or for a short time. Otherwise
            the file is read into memory.
        verify: whether to compare the tensors of a ``.pth`` file with the checksums that torch
            stores, which reads them; by default if they are read anyway, without ``mmap``.

    Returns:
        The content of the file; a ``.safetensors`` file gives ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: the file does not exist, is damaged, or contains code.
        DownloadError: it cannot be downloaded.
    """
    path = find_weights_file(source)
    advice = (
        f"The download may be incomplete: delete {path}, so that it is downloaded again"
        if download_url(str(source)) and str(path) != str(source)
        else "It may be truncated or damaged: copy it again from where it comes from, or use "
        "another checkpoint"
    )
    if path.suffix == ".safetensors":
        return _read_safetensors(path, mmap, advice)
    try:
        checkpoint = load_torch_file(
            path, mapped=mmap, verify=not mmap if verify is None else verify
        )
    except RefusedObjectError as error:
        raise CheckpointError(
            f"{path} holds more than parameters and was not loaded, because loading it could "
            f"run code: {error}. Expected a checkpoint of tensors; ask its author for one "
            "saved as a state dict or as .safetensors"
        ) from None
    except UnsupportedContentError as error:
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {error}. Expected dense tensors of a number "
            "type, in a file as torch.save writes it: save the model in this form"
        ) from None
    except Exception as error:  # a damaged file can raise any exception
        known = isinstance(error, (UnpicklingError, BadZipFile, ValueError, EOFError, OSError))
        reason = summarize(error).partition(": ")[2] if known else ""
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({reason or 'its content is damaged'}): "
            f"expected a file that torch.save wrote, or .safetensors. {advice}"
        ) from None
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"{path} holds a {type(checkpoint).__name__}: expected a dict of parameters"
        )
    return checkpoint


def _read_safetensors(path: Path, mmap: bool, advice: str) -> dict[str, Any]:
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if not mmap:
                tensors = {key: tensor.clone() for key, tensor in tensors.items()}
            meta = file.metadata() or {}
    except Exception as error:  # a dtype that torch lacks, for example, is an AttributeError
        raise CheckpointError(
            f"{path} cannot be read as .safetensors ({summarize(error)}): expected a file that "
            f"convert_glip.py wrote. {advice}"
        ) from None
    return {"state_dict": tensors, "meta": meta}
