"""The files of an ODVG data set: expand their patterns, and iterate over their records."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from glip.datasets.odvg.records import parse_record
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, OdvgRecordError
from glip.utils.regular_files import file_problem
from glip.utils.tar_files import MAX_TEXT, TarMember, iter_members
from glip.utils.text_lines import iter_lines

#: A longer first line is not parsed to find out whether it is a record.
_MAX_FIRST_LINE = 1 << 20


class Record(NamedTuple):
    """A record and its place in its file.

    Attributes:
        line_number: Number of the line, from 1; in a shard, number among the JSON members.
        offset: First byte of the JSON in the file.
        size: Number of bytes of the JSON.
        content: The parsed JSON object, or None if it is invalid.
        error: What is wrong with the JSON or, in a shard, with the image; None if nothing is. The
            fields of ``content`` are not checked.
        image: Offset and size in bytes of the image in a shard; None outside shards.
    """

    line_number: int
    offset: int
    size: int
    content: dict[str, Any] | None
    error: OdvgRecordError | None
    image: tuple[int, int] | None = None


def is_shard(path: str) -> bool:
    """Return whether a file is a tar shard, which holds the images too."""
    return path.endswith(".tar")


def holds_records(path: str) -> bool:
    """Return whether a file holds ODVG records, and not one JSON object as in COCO's format."""
    if is_shard(path) or path.endswith(".jsonl"):
        return True
    with open(path, "rb") as file:
        line = file.readline(_MAX_FIRST_LINE)
    record, _ = _parse(line)
    return record is not None and "filename" in record and "images" not in record


def expand_patterns(patterns: Sequence[str]) -> list[str]:
    """Return the files that paths and patterns match.

    Args:
        patterns: Paths, or patterns with ``*``, ``?``, ``[...]``, ``{a,b}`` or ``{000..099}``.

    Returns:
        The paths, in the order of the patterns; the matches of one pattern are sorted.

    Raises:
        AnnotationFileNotFoundError: A pattern matches no file.
        AnnotationFileError: A file is matched twice, so that its records would count twice.
    """
    found: dict[str, str] = {}  # real path -> path
    for pattern in patterns:
        for text in [pattern] if os.path.exists(pattern) else _expand_braces(pattern):
            paths = [text] if os.path.exists(text) else sorted(glob.glob(text))
            if not paths:
                of = "" if text == pattern else f" (of the pattern '{pattern}')"
                raise AnnotationFileNotFoundError(
                    f"there is no annotation file '{text}'{of}; check data_root and ann_file."
                )
            for path in paths:
                problem = file_problem(path)
                if problem and not os.path.isdir(path):
                    raise AnnotationFileError(f"'{path}' {problem}; expected .jsonl or .tar files.")
                if os.path.isdir(path):
                    raise AnnotationFileError(
                        f"'{path}' is a folder: expected .jsonl files or .tar shards; "
                        f"'{path}/*.tar' matches all shards in it."
                    )
                if os.path.realpath(path) in found:
                    raise AnnotationFileError(f"ann_file matches '{path}' twice; name it once.")
                found[os.path.realpath(path)] = path
    return list(found.values())


def iter_records(path: str) -> Iterator[Record]:
    """Iterate over the records of a file or a shard from start to end, one in memory at a time.

    Raises:
        TarFileError: A shard is damaged, truncated or compressed.
        AnnotationFileError: A line has more than 64 MiB.
    """
    return _shard_records(path) if is_shard(path) else _file_records(path)


def _file_records(path: str) -> Iterator[Record]:
    offset = 0
    with open(path, "rb") as file:
        for line_number, content in enumerate(iter_lines(file, path), 1):
            if content.strip():
                yield Record(line_number, offset, len(content), *_parse(content))
            offset += len(content)


def _shard_records(path: str) -> Iterator[Record]:
    """Pair the JSON members with the images that they name, in whichever order they come."""
    images: dict[str, tuple[int, int]] = {}
    waiting: dict[str, Record] = {}  # records whose image has not come yet
    line_number = 0
    for member in iter_members(path):
        name = str(member.path)
        if member.name.endswith(".json"):
            line_number += 1
            record = Record(line_number, member.offset, member.size, *_parse_member(member))
            image_name = _image_name(record)
            if image_name is None:
                yield record
            elif image_name in images:
                yield record._replace(image=images.pop(image_name))
            elif image_name in waiting:
                yield _without_image(record)  # another record has the same image
            else:
                waiting[image_name] = record
        elif name in waiting:
            yield waiting.pop(name)._replace(image=(member.offset, member.size))
        else:
            images[name] = (member.offset, member.size)
    yield from map(_without_image, waiting.values())


def _image_name(record: Record) -> str | None:
    """Return the member name of a record's image; None if the record does not name one."""
    name = None if record.content is None else record.content.get("filename")
    return str(PurePosixPath(name)) if isinstance(name, str) else None


def _without_image(record: Record) -> Record:
    error = OdvgRecordError(
        "no image in the shard for the record's 'filename'", repr(_image_name(record))
    )
    return record._replace(error=error)


def _parse_member(member: TarMember) -> tuple[dict[str, Any] | None, OdvgRecordError | None]:
    if member.size > MAX_TEXT:
        return None, OdvgRecordError("a record of more than 64 MiB", f"{member.size} bytes")
    return _parse(member.read())


def _parse(content: bytes) -> tuple[dict[str, Any] | None, OdvgRecordError | None]:
    try:
        return parse_record(content), None
    except OdvgRecordError as error:
        return None, error


def _expand_braces(pattern: str) -> list[str]:
    """Expand ``{a,b}`` and ``{000..099}`` as a shell does."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", match[1])
    if numbers:
        width = len(numbers[1]) if numbers[1].startswith("0") else 0
        choices = [f"{at:0{width}d}" for at in range(int(numbers[1]), int(numbers[2]) + 1)]
    else:
        choices = match[1].split(",")
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [text for choice in choices for text in _expand_braces(before + choice + after)]
