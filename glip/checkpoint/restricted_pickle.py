"""Unpickle tensors, numpy arrays and plain containers, and refuse everything else.

A pickle can name any importable function and call it, so loading one can run any code. It can also
give any object a state, and announce sizes that it does not have. The unpickler here is the pure
Python one of the standard library, restricted on every version of torch in the same way:

* It knows the opcodes of data; those that create objects and set attributes are replaced.
* A name stands for a function of this module, never for the object of that name.
* Sizes are compared with the size of the file before memory is taken.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from glip.utils.errors import shorten
from glip.utils.nesting import check_nesting

#: Array dtypes by the name that numpy pickles.
_NUMPY_DTYPES = {
    name: np.dtype(name)
    for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
}
_TORCH_DTYPES = {
    f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)
}
#: The dtypes of torch's storage classes. A file of bytes in an UntypedStorage names its dtype.
_STORAGES = {
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
_OTHER_TENSORS = {
    "sparse": "a sparse tensor",
    "qtensor": "a quantized tensor",
    "meta_tensor": "a tensor without data (device 'meta')",
    "nested": "a nested tensor",
    "Q": "a quantized tensor",
}
#: Longest string, bytes object or frame, in bytes.
_MAX_LENGTH = 1 << 30
#: Longest integer in bytes; states of random number generators have 16.
_MAX_INT_BYTES = 32
#: A pickle can use the same bytes for several arrays, which are copies: together they may be
#: larger than the file by this factor.
_MAX_COPIES = 4
#: Tensors are views of the file's bytes and may overlap, so that together they are larger than the
#: file by so many bytes; a model compares their shapes with its own before it copies them.
_MAX_OVERLAP = 1 << 33
_KEY_TYPES = (str, int, float, bool, bytes, type(None))
#: Of Python's hash: larger integers can be chosen so that all have the same hash.
_MAX_KEY = 2**61 - 2


class RefusedObjectError(pickle.UnpicklingError):
    """A pickle names an object, or does something to one, that loading data does not need."""


class UnsupportedContentError(pickle.UnpicklingError):
    """A file holds something that it may, but that no model can use, such as a sparse tensor."""


def restricted_loads(content: bytes) -> Any:
    """Unpickle numbers, strings, numpy arrays and plain containers.

    Raises:
        pickle.UnpicklingError: the pickle is damaged, or names any other object.
    """
    try:
        return RestrictedUnpickler(io.BytesIO(content), len(content)).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        known = isinstance(error, (ValueError, EOFError))
        raise pickle.UnpicklingError(str(error) if known else "it is damaged") from None


def history_buffer_getattr(owner: object, name: str) -> Any:
    """Replace ``getattr`` for the methods of HistoryBuffer, which mmengine pickles by name.

    The real ``getattr`` could reach any code from any class.

    Raises:
        RefusedObjectError: another object or attribute is requested.
    """
    if owner is not _history_buffer() or name not in ("min", "max", "mean", "current"):
        raise RefusedObjectError(f"it requests {_show(name)} of {_show(owner)}")
    return None  # a new buffer has its methods


class _Dtype:
    """What ``numpy.dtype`` gives; the pickle then sets its byte order."""

    def __init__(self, name: object, *_: object) -> None:
        if not isinstance(name, str) or name not in _NUMPY_DTYPES:
            raise UnsupportedContentError(f"it holds an array of dtype {_show(name)}")
        self.value = _NUMPY_DTYPES[name]

    def check_state(self, state: Any) -> None:
        if type(state) is not tuple or state[1] not in ("<", "=", "|") or any(state[2:5]):
            raise pickle.UnpicklingError("an array with fields or of another byte order")


class _Opcodes(dict):
    def __missing__(self, opcode: int) -> Any:
        raise pickle.UnpicklingError(f"{chr(opcode)!r} is not an opcode of data")


class RestrictedUnpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """Unpickle tensors, arrays, plain containers and the logged scalars of mmengine.

    Args:
        file: the pickle.
        size: bytes of the file that holds the pickle and its tensors.
        load_storage: returns the bytes (n,) uint8 of a storage by its key, its number of items and
            the bytes of an item.
    """

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(
        self,
        file: BinaryIO,
        size: int = 0,
        load_storage: Callable[[str, int, int], Tensor] | None = None,
    ) -> None:
        super().__init__(_ExactReader(file), encoding="utf-8")
        self._size = size
        self._copies_left = _MAX_COPIES * size + (1 << 20)
        self._views_left = size + _MAX_OVERLAP
        self._load_storage = load_storage
        encode, dictionary, rebuild = self._encode, self._ordered_dict, self._tensor
        functions: dict[str, Callable] = {
            "torch._utils._rebuild_tensor": rebuild,
            "torch._utils._rebuild_tensor_v2": rebuild,
            "torch._utils._rebuild_tensor_v3": self._tensor_v3,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch.Size": self._torch_size,
            "torch.device": _device,
            "numpy.dtype": _Dtype,
            "_codecs.encode": encode,  # protocols 0 to 2 write bytes with it
            "builtins.bytes": _empty_bytes,  # and empty bytes with this
            "builtins.getattr": history_buffer_getattr,
            "collections.Counter": self._counter,  # milestones of a learning rate scheduler
            "collections.OrderedDict": dictionary,
        }
        for numpy in ("numpy.core", "numpy._core"):  # numpy 1 and 2
            functions[f"{numpy}.multiarray._reconstruct"] = _reconstruct
            functions[f"{numpy}.multiarray.scalar"] = self._scalar
            functions[f"{numpy}.numeric._frombuffer"] = self._frombuffer
        self._functions = functions
        self._callable = {id(function) for function in functions.values()}
        self._globals: dict[str, Any] = {
            **functions,
            **_TORCH_DTYPES,
            **_STORAGES,
            "numpy.ndarray": np.ndarray,
        }

    def load(self) -> Any:
        """Return the object of the file; an unpickler loads one.

        Raises:
            Exception: a damaged pickle can raise any exception.
        """
        limit = _MAX_COPIES * self._size + (1 << 20)
        try:
            value = super().load()
        finally:
            self.__dict__.clear()  # its methods refer to it, which would keep the tensors alive
        check_nesting(value, limit)
        return value

    def find_class(self, module: str, name: str) -> Any:
        """Return what replaces an allowed object.

        Raises:
            RefusedObjectError: the object is not allowed.
            pickle.UnpicklingError: it is a tensor of a kind that no parameter can be.
        """
        full_name = f"{'builtins' if module == '__builtin__' else module}.{name}"
        if full_name in self._globals:
            return self._globals[full_name]
        if full_name == "mmengine.logging.history_buffer.HistoryBuffer":
            return _history_buffer()
        if re.fullmatch(r"torch\._utils\._rebuild_\w+|torch\.Q\w+Storage", full_name):
            kind = next((kind for part, kind in _OTHER_TENSORS.items() if part in name), None)
            if kind:
                raise UnsupportedContentError(f"it holds {kind}")
        raise RefusedObjectError(f"it names {shorten(full_name)}")

    def persistent_load(self, saved_id: Any) -> tuple[Tensor, torch.dtype]:
        """Return the bytes (n,) uint8 of a storage, and its dtype.

        Raises:
            RefusedObjectError: it is anything else; for a module in a file of the legacy format,
                torch would write its source as a patch file.
        """
        if type(saved_id) is not tuple or not saved_id or self._load_storage is None:
            raise pickle.UnpicklingError("an object outside the pickle")
        if saved_id[0] not in ("storage", b"storage"):
            raise RefusedObjectError(f"it requests a {_show(saved_id[0])}")
        if len(saved_id) < 5:
            raise pickle.UnpicklingError("an invalid storage")
        _, dtype, key, _, length = saved_id[:5]
        if len(saved_id) > 5 and saved_id[5] is not None:
            raise pickle.UnpicklingError("a view of a storage, which torch before 1.0 wrote")
        if not isinstance(dtype, torch.dtype) or not isinstance(key, str) or not _is_size(length):
            raise pickle.UnpicklingError("an invalid storage")
        return self._load_storage(key, length, dtype.itemsize), dtype

    # --- what the names stand for -----------------------------------------------------------------

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
        if not all(map(_is_size, (offset, *sides, *steps))) or len(sides) != len(steps):
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
            raise RefusedObjectError(f"it requests the encoding {_show(encoding)}")
        self._take(len(text))
        return text.encode("latin1")

    def _ordered_dict(self, pairs: Any = ()) -> OrderedDict:
        self._take(100 * len(pairs))
        return OrderedDict((_key(key), value) for key, value in pairs)

    def _counter(self, counts: Any = None) -> Counter:
        counts = {} if counts is None else counts
        if type(counts) is not dict:
            raise pickle.UnpicklingError("an invalid Counter")
        self._take(100 * len(counts))
        return Counter(counts)

    def _scalar(self, dtype: Any, content: Any) -> Any:
        if not isinstance(dtype, _Dtype) or len(content) != dtype.value.itemsize:
            raise pickle.UnpicklingError("an invalid number")
        return np.frombuffer(_to_bytes(content), dtype.value)[0]

    def _frombuffer(self, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        array = np.empty(0, np.uint8)
        self._set_array(array, (1, shape, dtype, order == "F", _to_bytes(content)))
        return array

    def _set_array(self, array: np.ndarray, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5 or type(state[1]) is not tuple:
            raise pickle.UnpicklingError("an invalid array")
        _, shape, dtype, is_fortran, content = state
        content = _to_bytes(content)
        if not isinstance(dtype, _Dtype) or not all(map(_is_size, shape)):
            raise pickle.UnpicklingError("an invalid array")
        if math.prod(shape) * dtype.value.itemsize != len(content):
            raise pickle.UnpicklingError(
                f"an array of shape {shorten(str(shape))} with {len(content)} bytes"
            )
        self._take(len(content))
        array.__setstate__((1, shape, dtype.value, bool(is_fortran), content))  # type: ignore[arg-type]

    # --- opcodes ----------------------------------------------------------------------------------

    def _load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if id(function) not in self._callable or type(arguments) is not tuple:
            raise RefusedObjectError(f"it requests to call {_show(function)}")
        self.stack[-1] = function(*arguments)

    def _load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack.pop()
        buffer = _history_buffer()
        if kind is not buffer or arguments != ():
            raise RefusedObjectError(f"it requests a new {_show(kind)}")
        self.stack.append(buffer.__new__(buffer))

    def _load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is np.ndarray:
            self._set_array(target, state)
        elif isinstance(target, _Dtype):
            target.check_state(state)
        elif type(target) is _history_buffer():
            _set_history(target, state)
        elif type(target) is not OrderedDict:  # its attributes are versions of modules, not needed
            raise RefusedObjectError(f"it requests to change {type(target).__name__}")

    def _load_append(self) -> None:
        value = self.stack.pop()
        _list(self.stack[-1]).append(value)

    def _load_appends(self) -> None:
        values = self.pop_mark()
        _list(self.stack[-1]).extend(values)

    def _load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        _dict(self.stack[-1])[_key(key)] = value

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        _dict(self.stack[-1]).update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(dict(zip(map(_key, items[::2]), items[1::2], strict=True)))

    def _load_long1(self) -> None:
        self._append_int(self.read(1)[0])

    def _load_long4(self) -> None:
        self._append_int(int.from_bytes(self.read(4), "little"))

    def _append_int(self, length: int) -> None:
        if length > _MAX_INT_BYTES:
            raise pickle.UnpicklingError(f"an integer of {length} bytes")
        self.append(pickle.decode_long(self.read(length)))

    def _load_bytearray(self) -> None:
        self.append(self.read(int.from_bytes(self.read(8), "little")))  # bytes serve as well

    dispatch = _Opcodes(
        {
            opcode[0]: pickle._Unpickler.dispatch[opcode[0]]  # type: ignore[attr-defined]
            for opcode in (
                *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP),
                *(pickle.POP_MARK, pickle.DUP, pickle.GLOBAL, pickle.STACK_GLOBAL),
                *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
                *(pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG),
                *(pickle.FLOAT, pickle.BINFLOAT),
                *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
                *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
                *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
                *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
                *(pickle.EMPTY_LIST, pickle.LIST, pickle.EMPTY_DICT),
                *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
                *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
                *(pickle.PERSID, pickle.BINPERSID),
            )
        }
    )
    dispatch.update(
        {
            pickle.REDUCE[0]: _load_reduce,
            pickle.NEWOBJ[0]: _load_newobj,
            pickle.BUILD[0]: _load_build,
            pickle.APPEND[0]: _load_append,
            pickle.APPENDS[0]: _load_appends,
            pickle.SETITEM[0]: _load_setitem,
            pickle.SETITEMS[0]: _load_setitems,
            pickle.DICT[0]: _load_dict,
            pickle.LONG1[0]: _load_long1,
            pickle.LONG4[0]: _load_long4,
            pickle.BYTEARRAY8[0]: _load_bytearray,
        }
    )


class _ExactReader:
    """A file whose ``read`` returns all that is requested."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = file.read
        self.readline = file.readline

    def read(self, length: int) -> bytes:
        if length > _MAX_LENGTH:
            raise pickle.UnpicklingError(f"an object of {length} bytes")
        content = self._read(length)
        if len(content) != length:
            raise EOFError("the file ends early")
        return content


def _history_buffer() -> type[Any]:
    from mmengine.logging.history_buffer import HistoryBuffer

    return HistoryBuffer


def _set_history(buffer: Any, state: Any) -> None:
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


def _to_bytes(content: Any) -> bytes:
    if type(content) is not bytes:
        raise pickle.UnpicklingError("an invalid array")
    return content


def _show(value: Any) -> str:
    """Return a value for a message; the repr of nested containers can take for ever."""
    if isinstance(value, (str, bytes)):
        return shorten(repr(value[:200]))
    return f"a {getattr(value, '__name__', type(value).__name__)}"


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _list(target: Any) -> list:
    if type(target) is not list:
        raise pickle.UnpicklingError(f"items of a {type(target).__name__}")
    return target


def _dict(target: Any) -> dict:
    if type(target) not in (dict, OrderedDict, Counter):
        raise pickle.UnpicklingError(f"items of a {type(target).__name__}")
    return target


def _key(key: Any) -> Any:
    # Hashing a nested tuple can take for ever, and integers can be chosen that collide.
    if type(key) not in _KEY_TYPES or (type(key) is int and abs(key) > _MAX_KEY):
        raise pickle.UnpicklingError(f"a {type(key).__name__} as a key")
    return key
