"""The index of a file of lines: where each line lies, and the little that is asked of all lines.

It is made once, by reading the file from start to end, and kept in a file that is mapped into
memory: a start reads none of the lines, and loading processes share it. It lies beside the data as
``NAME.odvg_index`` or, where that folder cannot be written, below ``~/.cache/glip/odvg``.

A kept index is used only if it is whole and the data have the name, size and time of change that
they had. The file holds the rows, then a footer in JSON, the footer's length, and a mark. It gets
its name when all of that is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from glip.datasets.odvg.records import boxes_of, check_record, scores_of
from glip.datasets.odvg.sources import Record, iter_records
from glip.utils.atomic_write import fsync_rename
from glip.utils.errors import OdvgRecordError

#: A line: where its JSON and (in shards) its image lie, in bytes; its number in the file, from 1;
#: the image's size in pixels; the highest score of its boxes (infinite where they have none, -1
#: without a box of at least one pixel); its highest label (-1 without); whether it has a caption.
ROW = np.dtype(
    [
        ("offset", "<i8"),
        ("size", "<i8"),
        ("image_offset", "<i8"),
        ("image_size", "<i8"),
        ("number", "<i8"),
        ("best", "<f8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("label", "<i4"),
        ("grounding", "<i4"),
    ]
)
_PACK = struct.Struct("<5qd4i")
_MARK = b"glip odvg index\1"
_TAIL = struct.Struct(f"<Q{len(_MARK)}s")
_MOST = 2**31 - 1


@dataclass
class InvalidRecords:
    """Bad lines by reason: how many, and the numbers of the first of them.

    Attributes:
        counts: how many, for each reason.
        examples: numbers of lines, for each reason.
        limit: how many numbers to keep.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[int]] = field(default_factory=dict)
    limit: int = 3

    def add(self, reason: str, number: int) -> None:
        """Count one more."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < self.limit:
            examples.append(number)

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Say it in one line."""
        parts = []
        for reason, count in self.counts.items():
            lines = ", ".join(map(str, self.examples[reason]))
            more = ", ..." if count > len(self.examples[reason]) else ""
            parts.append(f"{count} x {reason} (line {lines}{more})")
        return "; ".join(parts)


@dataclass(frozen=True)
class FileIndex:
    """The index of one file.

    Attributes:
        path: of the file of lines, or the shard.
        rows: a row of :data:`ROW` for each good line.
        lines: how many lines there are, good and bad.
        bad: the bad ones.
        categories: for each label that has a category in the lines, the first one.
    """

    path: str
    rows: np.ndarray
    lines: int
    bad: InvalidRecords
    categories: dict[int, str]

    def __reduce__(self) -> tuple:  # a spawned process maps the file instead of getting its rows
        return open_index, (self.path,)


def open_index(path: str) -> FileIndex:
    """Open the index of a file of lines or a shard; make it, if there is none that fits.

    Raises:
        OSError: the file cannot be read.
        AnnotationFileError: a shard is damaged.
    """
    now = modified(path)
    places = [Path(path).with_name(f"{Path(path).name}.odvg_index"), _in_cache(path)]
    for place in places:
        index = _kept(place, path, now)
        if index is not None:
            return index
    with _partial(places) as (part, place):
        footer = _write(path, now, part)
        if place is None:
            rows = np.frombuffer(part.getvalue(), ROW, footer["rows"])  # type: ignore[attr-defined]
            return _index(path, rows, footer)
    index = _kept(place, path, modified(path))
    if index is None:
        raise OSError(f"'{path}' was changed while its index '{place}' was made; start again.")
    return index


def _write(path: str, now: dict, part: BinaryIO) -> dict:
    """Write the index of a file; return its footer."""
    bad, rows, lines = InvalidRecords(), 0, 0
    categories: dict[int, str] = {}
    name = f"index of {now['name']}"
    with tqdm(total=now["size"], desc=name, unit="B", unit_scale=True, delay=2) as progress:
        for record in iter_records(path):
            lines += 1
            progress.update(max(record.offset + record.size - progress.n, 0))
            try:
                row = _row(record)
            except OdvgRecordError as error:
                bad.add(error.reason, record.line_number)
                continue
            part.write(row)
            rows += 1
            for instance in (record.line.get("detection") or {}).get("instances", ()):
                if instance.get("category") is not None:
                    categories.setdefault(instance["label"], instance["category"])
    footer = dict(
        data=now,
        rows=rows,
        lines=lines,
        counts=bad.counts,
        examples=bad.examples,
        categories=list(categories.items()),
    )
    content = json.dumps(footer).encode()
    part.write(content + _TAIL.pack(len(content), _MARK))
    return footer


def _row(record: Record) -> bytes:
    """Make the row of a line.

    Raises:
        OdvgRecordError: it is a bad one.
    """
    if record.error is not None:
        raise record.error
    line = record.line
    check_record(line)
    scored: list[tuple[list[float], float]] = []
    label = -1
    if line.get("detection") is not None:
        for instance in line["detection"]["instances"]:
            scored.append((instance["bbox"], np.inf))
            label = max(label, min(instance["label"], _MOST))
    else:
        for region in line["grounding"]["regions"]:
            boxes = boxes_of(region)
            scored += zip(boxes, scores_of(region) or [np.inf] * len(boxes), strict=True)
    best = max((score for box, score in scored if is_visible(box)), default=-1)
    size = [min(line[key], _MOST) for key in ("height", "width")]
    grounding = int(line.get("grounding") is not None)
    image = record.image or (0, 0)
    return _PACK.pack(
        record.offset, record.size, *image, record.line_number, best, *size, label, grounding
    )


def is_visible(box: list[float]) -> bool:
    """Say whether a box (xyxy, pixels) has at least one pixel each way."""
    return box[2] - box[0] >= 1 and box[3] - box[1] >= 1


def _kept(place: Path, path: str, now: dict) -> FileIndex | None:
    """Open a kept index; None if there is none, or one that does not fit."""
    try:
        with open(place, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(end - _TAIL.size, 0))
            length, mark = _TAIL.unpack(file.read())
            if mark != _MARK or length > end:
                return None
            file.seek(end - _TAIL.size - length)
            footer = json.loads(file.read(length))
        count = footer["rows"]
        if footer["data"] != now or count * ROW.itemsize + length + _TAIL.size != end:
            return None
        # An empty file cannot be mapped.
        rows = np.memmap(place, ROW, "r", shape=(count,)) if count else np.empty(0, ROW)
        return _index(path, rows, footer)
    except (OSError, ValueError, LookupError, TypeError, struct.error):
        return None


def _index(path: str, rows: np.ndarray, footer: dict) -> FileIndex:
    bad = InvalidRecords(footer["counts"], footer["examples"])
    return FileIndex(path, rows, footer["lines"], bad, dict(map(tuple, footer["categories"])))


@contextmanager
def _partial(places: list[Path]) -> Iterator[tuple[BinaryIO, Path | None]]:
    """Give a file to write to, and the place that it gets; in memory if no place can be written."""
    for place in places:
        # Processes that make the same index at the same time write files of their own.
        part = place.with_name(f".{place.name}.{uuid.uuid4().hex}.part")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        except OSError:
            continue
        try:
            with open(part, "wb") as file:
                yield file, place
            fsync_rename(part, place)
        finally:
            part.unlink(missing_ok=True)
        return
    yield BytesIO(), None


def modified(path: str) -> dict[str, int | str]:
    """What tells that a file is still the one it was."""
    status = os.stat(path)
    return dict(name=Path(path).name, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _in_cache(path: str) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "glip" / "odvg" / f"{hashlib.sha256(os.path.realpath(path).encode()).hexdigest()}"
