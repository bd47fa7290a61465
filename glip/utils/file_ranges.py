"""Read byte ranges of many large files, without opening a file for each range."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import BinaryIO

from glip.utils.remote_files import is_remote, read_remote

#: Files that a process keeps open at most; a data set may have thousands of shards.
MAX_OPEN_FILES = 64

_open_files: OrderedDict[str, BinaryIO] = OrderedDict()  # the least recently used one first
_owner_pid = 0
_lock = threading.Lock()  # threads share the files and their positions


def _new_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # another thread may hold the lock at the time of a fork
    os.register_at_fork(after_in_child=_new_lock)


def read_range(path: str, offset: int, size: int) -> bytes:
    """Read ``size`` bytes of a file from byte ``offset`` on.

    The file stays open for the next call. After a fork, a process opens files of its own, because
    an inherited file shares its position with the parent process. Of a URL the range is requested.

    Raises:
        OSError: The file cannot be read or ends before the range does.
        DataError: A URL cannot be read.
    """
    if is_remote(path):
        content = read_remote(path, offset, offset + size) if min(offset, size) >= 0 else b""
        if len(content) != size:
            raise _truncated(path, offset + size)
        return content
    with _lock:
        file = _open(path)
        # Checked first, because read() takes memory for the whole range.
        is_inside = min(offset, size) >= 0 and offset + size <= os.fstat(file.fileno()).st_size
        if is_inside:
            file.seek(offset)
            content = file.read(size)
    if not is_inside or len(content) != size:
        raise _truncated(path, offset + size)
    return content


def _truncated(path: str, end: int) -> OSError:
    return OSError(f"'{path}' ends before byte {end}; the file is truncated or was changed.")


def _open(path: str) -> BinaryIO:
    global _open_files, _owner_pid
    if _owner_pid != os.getpid():
        _open_files, _owner_pid = OrderedDict(), os.getpid()
    if path not in _open_files:
        while len(_open_files) >= MAX_OPEN_FILES:
            _open_files.popitem(last=False)[1].close()
        _open_files[path] = open(path, "rb")  # noqa: SIM115 -- stays open
    _open_files.move_to_end(path)
    return _open_files[path]
