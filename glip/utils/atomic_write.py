"""Atomic writes: a reader, or a crash at any moment, finds the old file or the complete new one."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from glip.utils.errors import GLIPError, StorageError

_REMEDIES = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT),
        "the disk or the quota is full; free space, or choose a folder on another disk",
    ),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM),
        "the folder is not writable; change its permissions, or choose another folder",
    ),
    errno.ENOENT: "the folder does not exist; create it, or choose another folder",
    errno.EFBIG: "the file-size limit is reached; raise it (ulimit -f), or choose another disk",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EEXIST), "a part of the path is a file; choose another folder"
    ),
    errno.EISDIR: "it is a folder; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


def atomic_write(path: str | Path, content: bytes) -> None:
    """Write a small file atomically.

    Raises:
        StorageError: it cannot be written; ``path`` stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    with describe_write_errors(path):
        try:
            partial.write_bytes(content)
            fsync_rename(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise


def make_folder(path: str | Path) -> None:
    """Create a folder and those above it, if they are missing.

    Raises:
        StorageError: it cannot be created.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from None


def make_writable_folder(path: str | Path) -> None:
    """Create a folder, and write a block of a file in it, before the slow work for its content.

    Raises:
        StorageError: it cannot be created, or the disk is full or read-only.
    """
    make_folder(path)
    trial = Path(path) / f".{uuid.uuid4().hex}.partial"
    try:
        try:
            trial.write_bytes(bytes(4096))
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from None


def write_new_file(path: str | Path, content: str | bytes) -> None:
    """Write a small file atomically; missing folders are created, and text is UTF-8.

    Raises:
        StorageError: it cannot be written; ``path`` stays as it was.
    """
    path = Path(path)
    make_folder(path.parent)
    atomic_write(path, content.encode() if isinstance(content, str) else content)


@contextmanager
def atomic_open(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` atomically when the block ends.

    Several processes may write the same path at once: each writes a temporary file of its own. If
    the block raises, ``path`` stays as it was.

    Raises:
        StorageError: it cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    with describe_write_errors(path):
        try:
            with open(partial, "wb") as file:
                yield file
            fsync_rename(partial, path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def fsync_rename(partial: str | Path, path: str | Path) -> None:
    """Rename a finished file over ``path`` atomically.

    The content is flushed to the disk before the rename, so that after a power failure ``path`` is
    the old file or the new one, never an empty one.

    Raises:
        StorageError: it cannot be flushed or renamed.
    """
    with describe_write_errors(path):
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)


@contextmanager
def describe_write_errors(path: str | Path, advice: str = "") -> Iterator[None]:
    """Raise an ``OSError`` of writing a file again with the file's name and a remedy.

    Python's own message for a full disk names no file. Errors of other files pass.

    Args:
        path: the file or folder that the block writes.
        advice: a sentence to append, for example how to continue.

    Raises:
        StorageError: instead of an ``OSError``.
    """
    try:
        yield
    except OSError as error:
        path, named = Path(path), Path(str(error.filename or path))
        is_own = named == path or named in path.parents or named.name.startswith(f".{path.name}.")
        if isinstance(error, GLIPError) or not is_own:
            raise  # of another file, which the block reads
        raise storage_error(path, error, advice) from None


@contextmanager
def describe_full_disk(folder: str | Path, advice: str = "") -> Iterator[None]:
    """Name the folder, or the file if it is known, where a full or read-only disk ends the block.

    For blocks that do more than writing: other errors pass.

    Raises:
        StorageError: instead of an ``OSError`` that says that the disk is full or read-only.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, GLIPError) or not is_storage_problem(error):
            raise
        raise storage_error(error.filename or folder, error, advice) from None


def storage_error(path: str | Path, error: OSError, advice: str = "") -> StorageError:
    """Return the error that names a file which cannot be written, the reason and a remedy.

    Args:
        path: the file or folder.
        error: why it cannot be written.
        advice: a sentence to append.
    """
    remedy = _REMEDIES.get(error.errno or 0, "check the disk, or choose another folder")
    message = f"'{path}' cannot be written ({error.strerror or error}): {remedy}"
    named = StorageError(f"{message}. {advice}" if advice else message)
    named.errno = error.errno
    return named


def is_storage_problem(error: OSError) -> bool:
    """Return whether an error says that the disk is full, read-only or limited."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
