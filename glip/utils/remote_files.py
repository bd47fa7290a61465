"""Files of object storage and other file systems, by fsspec: ``s3://``, ``gs://``, ``memory://``.

fsspec comes with torch; a file system may need a package of its own, such as s3fs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from glip.utils.errors import DataError, DependencyError
from glip.utils.image_files import MAX_BYTES
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a URL that fsspec reads; ``tar://`` names a member of an archive."""
    match = _URL.match(os.fspath(path))
    return match is not None and match[1].lower() != "tar"


@dataclass(frozen=True)
class RemoteFile:
    """A file at a URL.

    Attributes:
        url: of the file.
        size: in bytes; -1 if it is not known.
    """

    url: str
    size: int = -1

    def read(self, most: int = MAX_BYTES) -> bytes:
        """Return the content, at most the first ``most`` bytes.

        Raises:
            DataError: it cannot be read.
        """
        return read_remote(self.url, 0, most)


@contextmanager
def open_remote(url: str) -> Iterator[BinaryIO]:
    """Open a file for reading; it can seek.

    Raises:
        DataError: it cannot be read, also inside the block.
    """
    with _describe(url):
        system, path = _resolve(url)
        with system.open(path, "rb") as file:
            yield file


def read_remote(url: str, start: int, end: int) -> bytes:
    """Return the bytes of a file from ``start`` to before ``end``.

    Raises:
        DataError: they cannot be read.
    """
    with _describe(url):
        system, path = _resolve(url)
        return system.cat_file(path, start=start, end=end)


def remote_size(url: str) -> int:
    """Return the size of a file in bytes.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    with _describe(url):
        system, path = _resolve(url)
        return int(system.size(path))


def fingerprint_of(url: str) -> tuple[int, str]:
    """Return the size of a file in bytes, and a key that changes with its content.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    with _describe(url):
        system, path = _resolve(url)
        return int(system.size(path)), str(system.ukey(path))


def find_remote(url: str, recursive: bool = False) -> list[RemoteFile]:
    """Return the files of a folder or of a pattern such as ``s3://bucket/*.tar``, sorted by URL.

    Args:
        url: of the folder, the pattern, or one file.
        recursive: also search the subfolders of a folder.

    Raises:
        DataError: the file system cannot be read.
    """
    with _describe(url):
        system, path = _resolve(url)
        if re.search(r"[*?\[]", path) and not system.exists(path):
            found: Any = system.glob(path, detail=True)
        else:
            found = system.find(path, maxdepth=None if recursive else 1, detail=True)
        return sorted(
            (
                RemoteFile(system.unstrip_protocol(name), int(info["size"]))
                for name, info in found.items()
                if info["type"] == "file"
            ),
            key=lambda file: file.url,
        )


def _resolve(url: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a URL and the path in it."""
    import fsspec

    if "::" in url:  # a chain would open archives and caches inside each other
        raise DataError(f"expected one URL, got a chain, {shorten(url)}")
    try:
        return fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise DependencyError(f"cannot read {shorten(url)}: {error}") from None
    except ValueError as error:
        raise DataError(f"cannot read {shorten(url)}: {error}") from None


@contextmanager
def _describe(url: str) -> Iterator[None]:
    """Say which URL cannot be read, and why: each file system raises errors of its own."""
    try:
        yield
    except (DataError, DependencyError):
        raise
    except FileNotFoundError:
        raise DataError(f"there is no file {shorten(url)}: check the URL") from None
    except Exception as error:
        raise DataError(
            f"cannot read {shorten(url)} ({type(error).__name__}: {shorten(str(error))}): check "
            "the URL and the access to it"
        ) from None
