"""Checks of what a pickle holds, and the errors of reading one."""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict
from typing import Any

from glip.utils.errors import shorten

_KEY_TYPES = (str, int, float, bool, bytes, type(None))
#: Of Python's hash: larger integers can be chosen so that all have the same hash.
_MAX_KEY = 2**61 - 2


class RefusedObjectError(pickle.UnpicklingError):
    """A pickle names an object, or does something to one, that loading data does not need."""


class UnsupportedContentError(pickle.UnpicklingError):
    """A file holds something that it may, but that no model can use, such as a sparse tensor."""


def to_bytes(content: Any) -> bytes:
    """Return bytes; raise UnpicklingError for anything else."""
    if type(content) is not bytes:
        raise pickle.UnpicklingError("an invalid array")
    return content


def show(value: Any) -> str:
    """Return a value for a message; the repr of nested containers can take for ever."""
    if isinstance(value, (str, bytes)):
        return shorten(repr(value[:200]))
    return f"a {getattr(value, '__name__', type(value).__name__)}"


def is_size(value: Any) -> bool:
    """Return whether a value is a size or an offset of a tensor."""
    return type(value) is int and 0 <= value < 2**63


def check_list(target: Any) -> list:
    """Return a list to append to; raise UnpicklingError for anything else."""
    if type(target) is not list:
        raise pickle.UnpicklingError(f"items of a {type(target).__name__}")
    return target


def check_dict(target: Any) -> dict:
    """Return a dictionary to fill; raise UnpicklingError for anything else."""
    if type(target) not in (dict, OrderedDict, Counter):
        raise pickle.UnpicklingError(f"items of a {type(target).__name__}")
    return target


def check_key(key: Any) -> Any:
    """Return a key of a dictionary; raise UnpicklingError for one that is slow to hash."""
    # Hashing a nested tuple can take for ever, and integers can be chosen that collide.
    if type(key) not in _KEY_TYPES or (type(key) is int and abs(key) > _MAX_KEY):
        raise pickle.UnpicklingError(f"a {type(key).__name__} as a key")
    return key
