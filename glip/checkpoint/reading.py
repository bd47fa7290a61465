"""Read stored files without running code that they may contain.

A ``.pth`` or ``.pkl`` file is a pickle, which can run any code when it is loaded. The readers here
accept tensors, numpy arrays, plain containers and the logged scalars of mmengine's runner.
"""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.utils import digit_version

from glip.checkpoint.restricted_pickle import RestrictedPickle, allowed_objects, refused_object
from glip.utils.errors import CheckpointError, summarize


def read_checkpoint(source: str | Path, *, mmap: bool = True) -> dict[str, Any]:
    """Read a ``.pth`` or ``.safetensors`` file.

    Args:
        source: a path, or an http(s) URL, which is downloaded once to torch's hub folder.
        mmap: whether to memory-map the tensors, so that a tensor is read on its first use. They
            change with the file: use it to read a part of a file, or for a short time. Otherwise
            the file is read into memory.

    Returns:
        The content of the file; a ``.safetensors`` file gives ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: the file does not exist, is damaged, or contains code.
    """
    path = _local_file(str(source))
    if path.suffix == ".safetensors":
        return _read_safetensors(path, mmap)
    try:
        checkpoint = _load_pickle(path, mmap)
    except Exception as error:  # a damaged pickle can raise any exception
        refused = refused_object(error)
        if refused:
            raise CheckpointError(
                f"{path} holds more than parameters and was not loaded, because loading it could "
                f"run code: {refused}. Expected a checkpoint of tensors; ask its author for one "
                "saved as a state dict or as .safetensors"
            ) from error
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({summarize(error)}): expected a file that "
            "torch.save wrote, or .safetensors. The download may be incomplete; compare the file's "
            "size with the source's"
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"{path} holds a {type(checkpoint).__name__}: expected a dict of parameters"
        )
    return checkpoint


def _local_file(source: str) -> Path:
    if urlparse(source).scheme in ("http", "https"):
        return _download(source)
    path = Path(source).expanduser()
    if not os.path.isfile(
        path
    ):  # unlike Path.is_file, it returns False for a name that is too long
        problem = "is a folder" if os.path.isdir(path) else "does not exist"
        raise CheckpointError(
            f"the checkpoint {path} {problem}: expected the path of a .pth or .safetensors file. "
            "The README's model table links the published ones"
        )
    return path


def _download(url: str) -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / os.path.basename(urlparse(url).path)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))
        except OSError as error:
            raise CheckpointError(
                f"{url} cannot be downloaded ({summarize(error)}): download it elsewhere and "
                f"pass its path, or put it at {path}"
            ) from error
    return path


def _read_safetensors(path: Path, mmap: bool) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if not mmap:
                tensors = {key: tensor.clone() for key, tensor in tensors.items()}
            meta = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as .safetensors ({summarize(error)}): expected a file that "
            "convert_glip.py wrote; the download may be incomplete"
        ) from error
    return {"state_dict": tensors, "meta": meta}


def _load_pickle(path: Path, mmap: bool) -> Any:
    # Files of torch's legacy format are not zip archives and cannot be memory-mapped.
    archive = zipfile.is_zipfile(path)
    mmap = archive and mmap
    if digit_version(torch.__version__) >= digit_version("2.6"):
        with torch.serialization.safe_globals(
            [(value, name) for name, value in allowed_objects().items()]
        ):
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)
    # Before torch 2.6, safe_globals takes no names for the objects, and torch.load unpacks archives
    # of torch 0.1 and runs TorchScript whatever its arguments are.
    if tarfile.is_tarfile(path):
        raise ValueError("a tar archive of torch 0.1")
    if archive and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
        raise pickle.UnpicklingError("TorchScript")
    return torch.load(
        str(path),
        map_location="cpu",
        weights_only=False,
        mmap=mmap,
        pickle_module=RestrictedPickle(),
    )
