"""Reading checkpoint files without running what they contain.

A ``.pth`` file is a pickle, which can run any code when it is loaded. Here only tensors, plain
containers and what mmengine's runner writes beside them are accepted.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.utils import digit_version

from glip.utils.errors import CheckpointError, summarize


def read_checkpoint(source: str | Path, *, mapped: bool = True) -> dict[str, Any]:
    """Read a ``.pth`` or ``.safetensors`` file.

    Args:
        source: a path, or an http(s) address, which is downloaded once to torch's hub folder.
        mapped: whether tensors stay on disk until they are used, which is for a part of the file or
            a short time: they change with the file. Otherwise all of it is read into memory.

    Returns:
        what the file holds; a ``.safetensors`` file gives ``state_dict`` and ``meta``.

    Raises:
        CheckpointError: there is no such file, it is damaged, or it holds code.
    """
    path = _local_file(str(source))
    if path.suffix == ".safetensors":
        return _read_safetensors(path, mapped)
    try:
        checkpoint = _load_pickle(path, mapped)
    except Exception as error:  # a damaged pickle can fail in any way
        offence = _offence(error)
        if offence:
            raise CheckpointError(
                f"{path} holds more than parameters and was not loaded, because loading it could "
                f"run code: {offence}. Expected a checkpoint of tensors; ask its author for one "
                "saved as a state dict or as .safetensors"
            ) from error
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint ({summarize(error)}): expected a file that "
            "torch.save wrote, or .safetensors. A download that broke off looks like this; "
            "compare its size with the source's"
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
    if not os.path.isfile(path):  # unlike Path's, it says no to a name that cannot be
        what = "is a folder" if os.path.isdir(path) else "does not exist"
        raise CheckpointError(
            f"the checkpoint {path} {what}: expected the path of a .pth or .safetensors file. The "
            "README's model table links the published ones"
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


def _read_safetensors(path: Path, mapped: bool) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            if not mapped:
                tensors = {key: tensor.clone() for key, tensor in tensors.items()}
            meta = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read as .safetensors ({summarize(error)}): expected a file that "
            "convert_glip.py wrote; a download that broke off looks like this"
        ) from error
    return {"state_dict": tensors, "meta": meta}


def restricted_loads(content: bytes) -> Any:
    """Unpickle numbers, text, numpy arrays and plain containers, and nothing else.

    Raises:
        pickle.UnpicklingError: it names anything else.
    """
    return _RestrictedUnpickler(io.BytesIO(content)).load()


def _load_pickle(path: Path, mapped: bool) -> Any:
    # Old files are not zip archives and cannot be mapped.
    archive = zipfile.is_zipfile(path)
    mmap = archive and mapped
    if digit_version(torch.__version__) >= digit_version("2.6"):
        with torch.serialization.safe_globals(
            [(value, name) for name, value in _allowed_objects().items()]
        ):
            return torch.load(str(path), map_location="cpu", weights_only=True, mmap=mmap)
    # Before 2.6 torch's own restricted loader cannot be told of stand-ins, and torch.load unpacks
    # archives of its first releases and runs TorchScript whatever it is told.
    if tarfile.is_tarfile(path):
        raise ValueError("a tar archive of torch 0.1")
    if archive and "constants.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records():
        raise pickle.UnpicklingError("TorchScript")
    return torch.load(
        str(path),
        map_location="cpu",
        weights_only=False,
        mmap=mmap,
        pickle_module=_RestrictedPickle(),
    )


def _statistic(owner: object, name: str) -> Any:
    """Stand in for ``getattr``, which pickles of HistoryBuffer's methods call, and for them only.

    The real ``getattr`` would reach any code from any class.
    """
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise pickle.UnpicklingError(f"it asks for {name!r} of {owner!r}")
    return getattr(HistoryBuffer, name)


def _allowed_objects() -> dict[str, Any]:
    """What mmengine's runner writes beside tensors, by full name: numbers it logged, in arrays."""
    from mmengine.logging.history_buffer import HistoryBuffer

    allowed: dict[str, Any] = {
        "mmengine.logging.history_buffer.HistoryBuffer": HistoryBuffer,
        "builtins.getattr": _statistic,
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
    }
    for kind in ("f4", "f8", "i4", "i8", "u1", "b1"):
        dtype = type(np.dtype(kind))
        allowed[f"{dtype.__module__}.{dtype.__name__}"] = dtype
    functions: list[Any] = [np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    for function in functions:
        # numpy 1 and 2 give the same functions different addresses.
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            allowed[f"{module}.{function.__name__}"] = function
    return allowed


class _RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that finds only tensors, plain containers and :func:`_allowed_objects`."""

    def find_class(self, module: str, name: str) -> Any:
        module = "builtins" if module == "__builtin__" else module
        full_name = f"{module}.{name}"
        allowed = _allowed_objects()
        if full_name in allowed:
            return allowed[full_name]
        storage = re.fullmatch(r"[A-Za-z]*Storage", name) or name in _TORCH_DTYPES
        if (module == "torch" and storage) or full_name in _TORCH_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {full_name}")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _storages_only(value) if name == "persistent_load" else value)


def _storages_only(find: Callable[[tuple], Any]) -> Callable[[tuple], Any]:
    """Keep torch's finder of storages from modules, whose source it would write as a patch file."""

    def find_storage(saved_id: tuple) -> Any:
        if saved_id[0] not in ("storage", b"storage"):
            raise pickle.UnpicklingError(f"it asks for a {saved_id[0]!r}")
        return find(saved_id)

    return find_storage


_TORCH_NAMES = frozenset(
    (
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
        "torch.device",
        "_codecs.encode",  # how old pickles write bytes, and an empty one
        "builtins.bytes",
        "collections.Counter",  # milestones of a learning rate
        "collections.OrderedDict",
    )
)
_TORCH_DTYPES = frozenset(
    name for name, value in vars(torch).items() if isinstance(value, torch.dtype)
)


class _RestrictedPickle(ModuleType):
    """The ``pickle`` module as torch.load asks for it, with the restricted unpickler."""

    Unpickler = _RestrictedUnpickler

    def __init__(self) -> None:
        super().__init__("restricted_pickle")

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        """Unpickle a file's next object."""
        return _RestrictedUnpickler(file, **options).load()


def _offence(error: Exception) -> str | None:
    """What in a pickle could run code, without torch's advice to trust the file; else ``None``."""
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript program"
    if match := re.search(r"(?:GLOBAL|it names) ([\w.]*\w)", text):
        return f"it names {match[1]}"
    if match := re.search(
        r"it asks for .*|unrecognized function .*|Can only (create|build) .*", text
    ):
        return match[0]
    return None
