"""Where lines lie: finding the files, reading a piece of one, and going through all of one."""

from __future__ import annotations

import glob
import os
import re
import tarfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from mmengine.fileio import BaseStorageBackend, register_backend

from glip.datasets.odvg.records import parse_line
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, OdvgRecordError

#: Files that a process keeps open; there may be thousands of shards.
_MOST_OPEN = 64

_SCHEME = "tar://"


class Record(NamedTuple):
    """A line and where it lies, in bytes from the start of its file.

    Attributes:
        number: of the line, from 1; in a shard, of the JSON members.
        offset: of the JSON.
        size: of the JSON.
        line: what was read, None where it is no JSON object.
        error: why it is none, or why its image is not there; None if nothing is wrong so far.
        image: offset and size of the image in a shard; None outside shards.
    """

    number: int
    offset: int
    size: int
    line: dict | None
    error: OdvgRecordError | None
    image: tuple[int, int] | None = None


def is_shard(path: str) -> bool:
    """Say whether a file holds images beside the lines."""
    return path.endswith(".tar")


def expand(patterns: Sequence[str]) -> list[str]:
    """Find the files that names and patterns mean, in their order; those of one pattern sorted.

    Args:
        patterns: paths, or patterns with ``*``, ``?``, ``[...]``, ``{a,b}`` or ``{000..099}``.

    Raises:
        AnnotationFileNotFoundError: a pattern means no file.
        AnnotationFileError: a file is meant twice, so that its lines would count twice.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for text in [pattern] if os.path.exists(pattern) else _braces(pattern):
            paths = [text] if os.path.exists(text) else sorted(glob.glob(text))
            if not paths:
                of = "" if text == pattern else f" (of the pattern '{pattern}')"
                raise AnnotationFileNotFoundError(
                    f"there is no annotation file '{text}'{of}; check data_root and ann_file."
                )
            for path in paths:
                if os.path.isdir(path):
                    raise AnnotationFileError(
                        f"'{path}' is a folder: expected files of lines or tar shards; "
                        f"'{path}/*.tar' means all shards in it."
                    )
                if os.path.realpath(path) in found:
                    raise AnnotationFileError(f"ann_file means '{path}' twice; name it once.")
                found[os.path.realpath(path)] = path
    return list(found.values())


def records(path: str) -> Iterator[Record]:
    """Go through a file of lines or a shard, from start to end, holding one line at a time.

    Raises:
        AnnotationFileError: a shard is damaged, or compressed.
    """
    return _shard_records(path) if is_shard(path) else _file_records(path)


def read_range(path: str, offset: int, size: int) -> bytes:
    """Read a piece of a file, which stays open for the next one.

    Every process opens files of its own: those inherited by a fork share their position.

    Raises:
        OSError: the file cannot be read, or ends before the piece does.
    """
    file = _opened(path)
    file.seek(offset)
    content = file.read(size)
    if len(content) != size:
        raise OSError(f"'{path}' ends before byte {offset + size}; it was cut off or changed.")
    return content


def member_path(shard: str, offset: int, size: int, name: str) -> str:
    """Name an image in a shard, so that the image loader finds it without looking for it."""
    return f"{_SCHEME}{shard}@{offset}+{size}/{name}"


@register_backend("tar_member", prefixes="tar")
class TarMemberBackend(BaseStorageBackend):
    """Reads what :func:`member_path` names, for mmengine's ``fileio`` and all that is built on it.

    Example:
        ``tar://data/train-000.tar@1536+24613/00017.jpg`` is 24613 bytes from byte 1536 on.
    """

    def get(self, filepath: str) -> bytes:
        """Read the bytes of a member.

        Raises:
            ValueError: the path is not of the kind.
            OSError: the shard cannot be read, or was changed.
        """
        match = re.fullmatch(rf"{_SCHEME}(.+?\.tar)@(\d+)\+(\d+)/.*", str(filepath), re.DOTALL)
        if match is None:
            raise ValueError(f"expected tar://SHARD.tar@OFFSET+SIZE/NAME, got '{filepath}'")
        return read_range(match[1], int(match[2]), int(match[3]))

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """Read a member as text."""
        return self.get(filepath).decode(encoding)


_files: OrderedDict[str, BinaryIO] = OrderedDict()
_owner = 0


def _opened(path: str) -> BinaryIO:
    global _files, _owner
    if _owner != os.getpid():
        _files, _owner = OrderedDict(), os.getpid()
    if path not in _files:
        while len(_files) >= _MOST_OPEN:
            _files.popitem(last=False)[1].close()
        _files[path] = open(path, "rb")  # noqa: SIM115 -- stays open
    _files.move_to_end(path)
    return _files[path]


def _file_records(path: str) -> Iterator[Record]:
    offset = 0
    with open(path, "rb") as file:
        for number, content in enumerate(file, 1):
            if content.strip():
                line, error = _parsed(content)
                yield Record(number, offset, len(content), line, error)
            offset += len(content)


def _shard_records(path: str) -> Iterator[Record]:
    """Pair the JSON members with the images that they name, whichever comes first."""
    images: dict[str, tuple[int, int]] = {}
    waiting: dict[str, Record] = {}
    number = 0
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # or it keeps all of them
                if not member.isreg() or member.issparse():
                    continue
                place = (member.offset_data, member.size)
                if not member.name.endswith(".json"):
                    images[_normal(member.name)] = place
                    ready = waiting.pop(_normal(member.name), None)
                else:
                    number += 1
                    line, error = _parsed(tar.extractfile(member).read())  # type: ignore[union-attr]
                    ready = Record(number, *place, line, error)
                    name = None if line is None else line.get("filename")
                    if isinstance(name, str) and _normal(name) not in images:
                        waiting[_normal(name)] = ready
                        continue
                if ready is not None:
                    yield _with_image(ready, images)
            # The end is a block of zeros; tarfile also stops where a file is cut off or damaged.
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError(f"it is damaged or cut off at byte {tar.offset}")
    except (tarfile.TarError, EOFError) as error:
        raise AnnotationFileError(
            f"'{path}' cannot be read as a tar file ({error}): expected a whole one, not "
            "compressed. Copy or download it again, or unpack and pack it without compression."
        ) from error
    for record in waiting.values():
        yield _with_image(record, images)


def _with_image(record: Record, images: dict[str, tuple[int, int]]) -> Record:
    """Complete a shard's record, whose image is not needed a second time."""
    if record.line is None:
        return record
    name = record.line.get("filename")
    image = images.pop(_normal(name), None) if isinstance(name, str) else None
    if image is None and isinstance(name, str):
        error = OdvgRecordError("the shard has no image of the line's 'filename'", repr(name))
        return record._replace(error=error)
    return record._replace(image=image)


def _parsed(content: bytes) -> tuple[dict | None, OdvgRecordError | None]:
    try:
        return parse_line(content), None
    except OdvgRecordError as error:
        return None, error


def _normal(name: str) -> str:
    """Write a member's name one way: no ``./`` before it."""
    return str(PurePosixPath(name))


def _braces(pattern: str) -> list[str]:
    """Write out ``{a,b}`` and ``{000..099}``, as a shell does."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if numbers:
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        inner = [f"{at:0{width}d}" for at in range(int(numbers[1]), int(numbers[2]) + 1)]
    else:
        inner = match[1].split(",")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [text for each in inner for text in _braces(before + each + after)]


def modified(path: str) -> dict[str, int | str]:
    """What tells that a file is still the one it was."""
    status = os.stat(path)
    return dict(name=Path(path).name, size=status.st_size, mtime_ns=status.st_mtime_ns)
