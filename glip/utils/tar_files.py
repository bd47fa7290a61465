"""Read uncompressed tar archives member by member: the one tar reader of the library.

Only regular files are returned. Links, devices, folders and sparse files are skipped: nothing here
follows a link, and the bytes of a sparse file are not one range of the archive. Nothing is
unpacked. A caller that writes members to a folder must skip those whose :attr:`TarMember.is_safe`
is False.

Example:
    Unpack the images of an archive, with their captions::

        for key, members in itertools.groupby(iter_members("a.tar"), key=lambda m: m.key):
            by_extension = {member.extension: member for member in members if member.is_safe}
            caption = by_extension[".txt"].read().decode()
            (folder / by_extension[".jpg"].path).write_bytes(by_extension[".jpg"].read())
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from glip.utils.errors import DataError, TarFileError
from glip.utils.file_names import is_safe_path
from glip.utils.file_ranges import read_range
from glip.utils.regular_files import file_problem
from glip.utils.remote_files import is_remote, open_remote, remote_size

#: Longest text (a caption or a JSON record) in an archive, in bytes: 64 MiB.
MAX_TEXT = 1 << 26
#: Larger than any file.
_MAX_OFFSET = 1 << 60


@dataclass(frozen=True)
class TarMember:
    """A regular file in a tar archive.

    Attributes:
        archive: Path or URL of the archive.
        name: Name as the archive spells it.
        offset: First byte of the content in the archive.
        size: Number of bytes of the content.
        mtime: Time of modification, in seconds since the epoch.
    """

    archive: str
    name: str
    offset: int
    size: int
    mtime: float

    @property
    def path(self) -> PurePosixPath:
        """The normalized name: no leading ``./``, no repeated slashes."""
        return PurePosixPath(self.name)

    @property
    def is_safe(self) -> bool:
        """Whether the path stays inside the folder to which it is unpacked, on every system."""
        return is_safe_path(self.name)

    @property
    def key(self) -> str:
        """The path up to the first dot of the file name; a WebDataset sample shares one key."""
        return str(self.path.parent / self.path.name.partition(".")[0])

    @property
    def extension(self) -> str:
        """The file name from its first dot on, lowercase: ``.jpg``, ``.seg.png``, or empty."""
        _, dot, rest = self.path.name.partition(".")
        return (dot + rest).lower()

    def read(self) -> bytes:
        """Return the content.

        Raises:
            TarFileError: The archive ends before the content does.
        """
        try:
            return read_range(self.archive, self.offset, self.size)
        except OSError as error:
            raise _unreadable(self.archive, error) from error


def iter_members(path: str | Path) -> Iterator[TarMember]:
    """Iterate over the regular files of an archive from start to end, in constant memory.

    Args:
        path: Path of the archive, or a URL (:mod:`glip.utils.remote_files`); only the headers of
            its members are read.

    Raises:
        OSError: The archive cannot be opened.
        DataError: A URL cannot be read.
        TarFileError: The file is not a tar archive, is compressed, damaged or truncated. The
            members before the damage have been returned by then.
    """
    try:
        with _open(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            next_header = 0
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every member
                # A negative size would lead back to a former header, again and again.
                if tar.offset <= next_header or member.size < 0:  # type: ignore[attr-defined]
                    raise tarfile.ReadError(f"damaged at byte {member.offset}")
                next_header = tar.offset  # type: ignore[attr-defined]
                if member.isreg() and not member.issparse():
                    yield TarMember(
                        str(path), member.name, member.offset_data, member.size, member.mtime
                    )
            # An archive ends with a block of zeros. tarfile also stops, without an error, at a
            # damaged header and at the end of a truncated file.
            tar.fileobj.seek(tar.offset)  # type: ignore[union-attr]
            end = tar.fileobj.read(tarfile.BLOCKSIZE)  # type: ignore[union-attr]
            if end != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"damaged or truncated at byte {tar.offset}")
    except (OSError, DataError):
        raise
    except Exception as error:  # tarfile's headers of sparse files raise all sorts
        raise _unreadable(path, error) from error


@contextmanager
def _open(path: str | Path) -> Iterator[Any]:
    if is_remote(path):
        with open_remote(str(path)) as remote:
            try:
                yield _TarBytes(remote, remote_size(str(path)))
            except tarfile.TarError as error:  # which is not of the file system
                raise _unreadable(path, error) from error
        return
    problem = file_problem(path)
    if problem not in (None, "does not exist"):
        raise TarFileError(f"the tar archive '{path}' {problem}")
    with open(path, "rb", buffering=0) as file:
        yield _TarBytes(file, os.fstat(file.fileno()).st_size)


class _TarBytes:
    """A file that gives no more bytes than it has, whatever a header of the archive announces."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self.size = size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes.

        Raises:
            ReadError: the number of bytes is negative.
        """
        if size is None or size < 0:
            raise tarfile.ReadError("a header with a negative size")
        return self._file.read(min(size, max(self.size - self.tell(), 0))) or b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a byte.

        Raises:
            ReadError: no file has that byte.
        """
        if not 0 <= offset < _MAX_OFFSET:
            raise tarfile.ReadError("a header with an impossible size")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()


def _unreadable(path: str | Path, error: Exception) -> TarFileError:
    return TarFileError(
        f"cannot read the tar archive '{path}' ({error}): expected a complete, uncompressed "
        "archive. Copy or download it again, or repack it without compression."
    )
