"""What the names in a pickle stand for: functions that build tensors, arrays and containers.

A pickle can announce sizes that it does not have, so they are compared with the size of the file
before memory is taken.
"""

from __future__ import annotations

import math
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glip.checkpoint.pickle_checks import (
    RefusedObjectError,
    UnsupportedContentError,
    check_key,
    is_size,
    show,
    to_bytes,
)
from glip.utils.errors import shorten

#: Array dtypes by the name that numpy pickles.
_NUMPY_DTYPES = {
    name: np.dtype(name)
    for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
}
TORCH_DTYPES = {
    f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)
}
#: The dtypes of torch's storage classes. A file of bytes in an UntypedStorage names its dtype.
STORAGES = {
    "torch.DoubleStorage": torch.float64,
    "torch.FloatStorage": torch.float32,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
    "torch.ComplexFloatStorage": torch.complex64,
    "torch.ComplexDoubleStorage": torch.complex128,
    "torch.storage.UntypedStorage": torch.uint8,
}
#: Functions of torch that build a tensor which no parameter can be, by a part of their name.
OTHER_TENSORS = {
    "sparse": "a sparse tensor",
    "qtensor": "a quantized tensor",
    "meta_tensor": "a tensor without data (device 'meta')",
    "nested": "a nested tensor",
    "Q": "a quantized tensor",
}
#: A pickle can use the same bytes for several arrays, which are copies: together they may be
#: larger than the file by this factor.
_MAX_COPIES = 4
#: Tensors are views of the file's bytes and may overlap, so that together they are larger than the
#: file by so many bytes; a model compares their shapes with its own before it copies them.
_MAX_OVERLAP = 1 << 33


def history_buffer_getattr(owner: object, name: str) -> Any:
    """Replace ``getattr`` for the methods of HistoryBuffer, which mmengine pickles by name.

    The real ``getattr`` could reach any code from any class.

    Raises:
        RefusedObjectError: another object or attribute is requested.
    """
    if owner is not history_buffer() or name not in ("min", "max", "mean", "current"):
        raise RefusedObjectError(f"it requests {show(name)} of {show(owner)}")
    return None  # a new buffer has its methods


class Dtype:
    """What ``numpy.dtype`` gives; the pickle then sets its byte order."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or name not in _NUMPY_DTYPES:
            raise UnsupportedContentError(f"it holds an array of dtype {show(name)}")
        self.value = _NUMPY_DTYPES[name]

    def check_state(self, state: Any) -> None:
        """Check that a state sets the usual byte order only.

        Raises:
            pickle.UnpicklingError: it sets something else.
        """
        if type(state) is not tuple or state[1] not in ("<", "=", "|") or any(state[2:5]):
            raise pickle.UnpicklingError("an array with fields or of another byte order")


def max_copied_bytes(size: int) -> int:
    """Return how many bytes the arrays and containers of a file of ``size`` bytes may take."""
    return _MAX_COPIES * size + (1 << 20)


class StandIns:
    """The functions that build the objects of one pickle, within the memory that its file allows.

    Args:
        size: bytes of the file that holds the pickle and its tensors.

    Attributes:
        functions: what each name stands for.
    """

    def __init__(self, size: int) -> None:
        self._copies_left = max_copied_bytes(size)
        self._views_left = size + _MAX_OVERLAP
        self.functions: dict[str, Callable] = {
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_v3,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch.Size": self._torch_size,
            "torch.device": _device,
            "numpy.dtype": Dtype,
            "_codecs.encode": self._encode,  # protocols 0 to 2 write bytes with it
            "builtins.bytes": _empty_bytes,  # and empty bytes with this
            "builtins.getattr": history_buffer_getattr,
            "collections.Counter": self._counter,  # milestones of a learning rate scheduler
            "collections.OrderedDict": self._ordered_dict,
        }
        for numpy in ("numpy.core", "numpy._core"):  # numpy 1 and 2
            self.functions[f"{numpy}.multiarray._reconstruct"] = _reconstruct
            self.functions[f"{numpy}.multiarray.scalar"] = self._scalar
            self.functions[f"{numpy}.numeric._frombuffer"] = self._frombuffer

    def _take(self, num_bytes: int) -> None:
        """Account for memory that copies of the file's content take."""
        self._copies_left -= num_bytes
        if self._copies_left < 0:
            raise pickle.UnpicklingError("its arrays are much larger than the file")

    def _tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any
    ) -> Tensor:
        content, dtype = storage
        return self._view(content, dtype, offset, size, stride, requires_grad)

    def _tensor_v3(self, storage: Any, *arguments: Any) -> Tensor:
        offset, size, stride, grad, _, dtype = arguments[:6]
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError("a tensor without a dtype")
        return self._view(storage[0], dtype, offset, size, stride, grad)

    def _view(
        self, content: Tensor, dtype: torch.dtype, offset: Any, size: Any, stride: Any, grad: Any
    ) -> Tensor:
        sides, steps = tuple(size), tuple(stride)
        if not all(map(is_size, (offset, *sides, *steps))) or len(sides) != len(steps):
            raise pickle.UnpicklingError("a tensor of an invalid shape")
        number = math.prod(sides)
        last = offset + sum((n - 1) * step for n, step in zip(sides, steps, strict=True))
        if number and (last + 1) * dtype.itemsize > content.numel():
            raise pickle.UnpicklingError(
                f"a tensor of shape {shorten(str(sides))} that is larger than its data"
            )
        self._views_left -= number * dtype.itemsize
        if self._views_left < 0:
            raise pickle.UnpicklingError("its overlapping tensors are much larger than the file")
        storage = content.untyped_storage()
        tensor = torch.empty(0, dtype=dtype).set_(storage, offset if number else 0, sides, steps)
        return tensor.requires_grad_(bool(grad))

    def _torch_size(self, sides: Any) -> torch.Size:
        self._take(8 * len(sides))
        return torch.Size(sides)

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise RefusedObjectError(f"it requests the encoding {show(encoding)}")
        self._take(len(text))
        return text.encode("latin1")

    def _ordered_dict(self, pairs: Any = ()) -> OrderedDict:
        self._take(100 * len(pairs))
        return OrderedDict((check_key(key), value) for key, value in pairs)

    def _counter(self, counts: Any = None) -> Counter:
        counts = {} if counts is None else counts
        if type(counts) is not dict:
            raise pickle.UnpicklingError("an invalid Counter")
        self._take(100 * len(counts))
        return Counter(counts)

    def _scalar(self, dtype: Any, content: Any) -> Any:
        if not isinstance(dtype, Dtype) or len(content) != dtype.value.itemsize:
            raise pickle.UnpicklingError("an invalid number")
        return np.frombuffer(to_bytes(content), dtype.value)[0]

    def _frombuffer(self, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        array = np.empty(0, np.uint8)
        self.set_array(array, (1, shape, dtype, order == "F", to_bytes(content)))
        return array

    def set_array(self, array: np.ndarray, state: Any) -> None:
        """Fill an array with the state that a pickle gives it.

        Raises:
            pickle.UnpicklingError: the state is not that of an array of numbers.
        """
        if type(state) is not tuple or len(state) != 5 or type(state[1]) is not tuple:
            raise pickle.UnpicklingError("an invalid array")
        _, shape, dtype, is_fortran, content = state
        content = to_bytes(content)
        if not isinstance(dtype, Dtype) or not all(map(is_size, shape)):
            raise pickle.UnpicklingError("an invalid array")
        if math.prod(shape) * dtype.value.itemsize != len(content):
            raise pickle.UnpicklingError(
                f"an array of shape {shorten(str(shape))} with {len(content)} bytes"
            )
        self._take(len(content))
        array.__setstate__((1, shape, dtype.value, bool(is_fortran), content))  # type: ignore[arg-type]


def history_buffer() -> type[Any]:
    """Return the class of mmengine's logged scalars."""
    from mmengine.logging.history_buffer import HistoryBuffer

    return HistoryBuffer


def set_history(buffer: Any, state: Any) -> None:
    """Fill a HistoryBuffer that a pickle has created."""
    try:
        values, counts, limit = (
            state[key] for key in ("_log_history", "_count_history", "max_length")
        )
    except (TypeError, LookupError):
        raise pickle.UnpicklingError("an invalid HistoryBuffer") from None
    arrays = all(type(each) is np.ndarray and each.ndim == 1 for each in (values, counts))
    if not arrays or len(values) != len(counts) or type(limit) is not int:
        raise pickle.UnpicklingError("an invalid HistoryBuffer")
    buffer.__init__(values, counts, limit)


def _reconstruct(*_: Any) -> np.ndarray:
    return np.empty(0, np.uint8)  # its state follows


def _parameter(data: Any, requires_grad: Any = False, *_: Any) -> torch.nn.Parameter:
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a parameter that is not a tensor")
    return torch.nn.Parameter(data, bool(requires_grad))


def _device(*arguments: Any) -> torch.device:
    return torch.device(*arguments)


def _empty_bytes() -> bytes:
    return b""
