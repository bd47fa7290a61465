"""Unpickle tensors, numpy arrays and plain containers, and refuse everything else.

A pickle can name any importable function and call it, so loading one can run any code. It can also
give any object a state, and announce sizes that it does not have. The unpickler here is the pure
Python one of the standard library, restricted on every version of torch in the same way:

* It knows the opcodes of data; those that create objects and set attributes are replaced.
* A name stands for a function of :mod:`~glip.checkpoint.pickle_stand_ins`, never for the object of
  that name.
* Sizes are compared with the size of the file before memory is taken.
"""

from __future__ import annotations

import io
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from glip.checkpoint.pickle_checks import (
    RefusedObjectError,
    UnsupportedContentError,
    check_dict,
    check_key,
    check_list,
    is_size,
    show,
)
from glip.checkpoint.pickle_stand_ins import (
    OTHER_TENSORS,
    STORAGES,
    TORCH_DTYPES,
    Dtype,
    StandIns,
    history_buffer,
    max_copied_bytes,
    set_history,
)
from glip.utils.errors import shorten
from glip.utils.nesting import check_nesting

#: Longest string, bytes object or frame, in bytes.
_MAX_LENGTH = 1 << 30
#: Longest integer in bytes; states of random number generators have 16.
_MAX_INT_BYTES = 32
#: Objects that wait for their container where another container begins: a pickle of deeply nested
#: lists ends here, rather than after minutes. :mod:`pickle` writes the items of a list or a
#: dictionary in batches of 1000.
_MAX_WAITING = 20_000


def restricted_loads(content: bytes) -> Any:
    """Unpickle numbers, strings, numpy arrays and plain containers.

    Raises:
        pickle.UnpicklingError: the pickle is damaged, or names any other object.
    """
    try:
        return RestrictedUnpickler(io.BytesIO(content), len(content)).load()
    except EOFError:
        raise pickle.UnpicklingError("the file ends early") from None


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
        self._load_storage = load_storage
        self._parts = StandIns(size)
        functions = self._parts.functions
        self._callable = {id(function) for function in functions.values()}
        self._globals: dict[str, Any] = {
            **functions,
            **TORCH_DTYPES,
            **STORAGES,
            "numpy.ndarray": np.ndarray,
        }

    def load(self) -> Any:
        """Return the object of the file; an unpickler loads one.

        Raises:
            EOFError: the file ends early.
            pickle.UnpicklingError: the pickle is damaged, or names any other object.
        """
        limit = max_copied_bytes(self._size)
        try:
            value = super().load()
        except (EOFError, pickle.UnpicklingError):
            raise
        except Exception:  # a damaged pickle can raise any exception, which says nothing
            raise pickle.UnpicklingError("it is damaged, or not a pickle") from None
        finally:
            self.__dict__.clear()  # its methods refer to it, which would keep the tensors alive
        try:
            check_nesting(value, limit)
        except ValueError as error:
            raise pickle.UnpicklingError(str(error)) from None
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
            return history_buffer()
        if re.fullmatch(r"torch\._utils\._rebuild_\w+|torch\.Q\w+Storage", full_name):
            kind = next((kind for part, kind in OTHER_TENSORS.items() if part in name), None)
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
            raise RefusedObjectError(f"it requests a {show(saved_id[0])}")
        if len(saved_id) < 5:
            raise pickle.UnpicklingError("an invalid storage")
        _, dtype, key, _, length = saved_id[:5]
        if len(saved_id) > 5 and saved_id[5] is not None:
            raise pickle.UnpicklingError("a view of a storage, which torch before 1.0 wrote")
        if not isinstance(dtype, torch.dtype) or not isinstance(key, str) or not is_size(length):
            raise pickle.UnpicklingError("an invalid storage")
        return self._load_storage(key, length, dtype.itemsize), dtype

    # --- opcodes ----------------------------------------------------------------------------------

    def _load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if id(function) not in self._callable or type(arguments) is not tuple:
            raise RefusedObjectError(f"it requests to call {show(function)}")
        self.stack[-1] = function(*arguments)

    def _load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack.pop()
        buffer = history_buffer()
        if kind is not buffer or arguments != ():
            raise RefusedObjectError(f"it requests a new {show(kind)}")
        self.stack.append(buffer.__new__(buffer))

    def _load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is np.ndarray:
            self._parts.set_array(target, state)
        elif isinstance(target, Dtype):
            target.check_state(state)
        elif type(target) is history_buffer():
            set_history(target, state)
        elif type(target) is not OrderedDict:  # its attributes are versions of modules, not needed
            raise RefusedObjectError(f"it requests to change {type(target).__name__}")

    def _begin(self, container: Any) -> None:
        if len(self.stack) > _MAX_WAITING:
            raise pickle.UnpicklingError("containers that are nested too deeply")
        self.append(container)

    def _load_empty_list(self) -> None:
        self._begin([])

    def _load_empty_dict(self) -> None:
        self._begin({})

    def _load_append(self) -> None:
        value = self.stack.pop()
        check_list(self.stack[-1]).append(value)

    def _load_appends(self) -> None:
        values = self.pop_mark()
        check_list(self.stack[-1]).extend(values)

    def _load_setitem(self) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        check_dict(self.stack[-1])[check_key(key)] = value

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        check_dict(self.stack[-1]).update(zip(map(check_key, items[::2]), items[1::2], strict=True))

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(dict(zip(map(check_key, items[::2]), items[1::2], strict=True)))

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
                pickle.LIST,
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
            pickle.EMPTY_LIST[0]: _load_empty_list,
            pickle.EMPTY_DICT[0]: _load_empty_dict,
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
