"""Unpickle tensors, numpy arrays and plain containers, and refuse everything else.

A pickle can name any importable function and call it, so loading one can run any code. The
unpickler here resolves only the names that :func:`allowed_objects` and torch's own files need.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

_TORCH_NAMES = frozenset(
    (
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
        "torch.device",
        "_codecs.encode",  # protocols 0 to 2 write bytes with it
        "builtins.bytes",  # and empty bytes with this
        "collections.Counter",  # milestones of a learning rate scheduler
        "collections.OrderedDict",
    )
)
_TORCH_DTYPES = frozenset(
    name for name, value in vars(torch).items() if isinstance(value, torch.dtype)
)


def restricted_loads(content: bytes) -> Any:
    """Unpickle numbers, strings, tensors, numpy arrays and plain containers.

    Raises:
        pickle.UnpicklingError: the pickle names any other object.
    """
    return RestrictedUnpickler(io.BytesIO(content)).load()


def allowed_objects() -> dict[str, Any]:
    """Return the objects, by full name, of the logged scalars in mmengine's checkpoints."""
    from mmengine.logging.history_buffer import HistoryBuffer

    allowed: dict[str, Any] = {
        "mmengine.logging.history_buffer.HistoryBuffer": HistoryBuffer,
        "builtins.getattr": history_buffer_getattr,
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
    }
    for kind in ("f4", "f8", "i4", "i8", "u1", "b1"):
        dtype = type(np.dtype(kind))
        allowed[f"{dtype.__module__}.{dtype.__name__}"] = dtype
    functions: list[Any] = [np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]]
    for function in functions:
        # numpy 1 and 2 have the same functions in different modules.
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            allowed[f"{module}.{function.__name__}"] = function
    return allowed


def history_buffer_getattr(owner: object, name: str) -> Any:
    """Replace ``getattr`` for the methods of HistoryBuffer, which mmengine pickles by name.

    The real ``getattr`` could reach any code from any class.

    Raises:
        pickle.UnpicklingError: another object or attribute is requested.
    """
    from mmengine.logging.history_buffer import HistoryBuffer

    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise pickle.UnpicklingError(f"it requests {name!r} of {owner!r}")
    return getattr(HistoryBuffer, name)


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickle tensors, plain containers and :func:`allowed_objects`."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed object.

        Raises:
            pickle.UnpicklingError: the object is not allowed.
        """
        module = "builtins" if module == "__builtin__" else module
        full_name = f"{module}.{name}"
        allowed = allowed_objects()
        if full_name in allowed:
            return allowed[full_name]
        storage = re.fullmatch(r"[A-Za-z]*Storage", name) or name in _TORCH_DTYPES
        if (module == "torch" and storage) or full_name in _TORCH_NAMES:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {full_name}")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _storages_only(value) if name == "persistent_load" else value)


class RestrictedPickle(ModuleType):
    """The ``pickle_module`` argument of ``torch.load``, with the restricted unpickler."""

    Unpickler = RestrictedUnpickler

    def __init__(self) -> None:
        super().__init__("restricted_pickle")

    @staticmethod
    def load(file: Any, **options: Any) -> Any:
        """Unpickle the next object of a file."""
        return RestrictedUnpickler(file, **options).load()


def refused_object(error: Exception) -> str | None:
    """Return what an unpickling error refused, ``None`` if the error has another cause.

    torch's messages also suggest to trust the file; that part is dropped.
    """
    text = str(error)
    if "TorchScript" in text:
        return "it is a TorchScript program"
    if match := re.search(r"(?:GLOBAL|it names) ([\w.]*\w)", text):
        return f"it names {match[1]}"
    if match := re.search(
        r"it requests .*|unrecognized function .*|Can only (create|build) .*", text
    ):
        return match[0]
    return None


def _storages_only(persistent_load: Callable[[tuple], Any]) -> Callable[[tuple], Any]:
    """Restrict torch's ``persistent_load`` to storages.

    For a module in a file of the legacy format, torch would write its source as a patch file.
    """

    def load_storage(saved_id: tuple) -> Any:
        if saved_id[0] not in ("storage", b"storage"):
            raise pickle.UnpicklingError(f"it requests a {saved_id[0]!r}")
        return persistent_load(saved_id)

    return load_storage
