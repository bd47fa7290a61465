"""The index of an ODVG file: the place of each record, and the fields needed of all records.

The index is built once, by reading the file from start to end, and stored beside it or, where that
folder is not writable, below ``~/.cache/glip/odvg`` (``$XDG_CACHE_HOME``). It has two files:
``NAME.odvg_index.FINGERPRINT.npy``, an array of :data:`ROW` that is memory-mapped, so a start reads
no record and all workers share the memory; and a ``.json`` file with the same stem, which is
written last and holds the number of rows, the invalid records and the categories.

The fingerprint covers the data file's name, size and modification time. A stale index is therefore
never opened, and processes that build the same index at the same time write the same content.
"""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
import zlib
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from glip.datasets.odvg.records import boxes_of, check_record, is_visible, scores_of
from glip.datasets.odvg.sources import Record, iter_records
from glip.datasets.odvg.validation import InvalidRecords
from glip.utils.atomic_write import atomic_open
from glip.utils.errors import OdvgRecordError
from glip.utils.regular_files import file_problem

#: The row of a valid record. ``offset`` and ``size``: bytes of its JSON in the file;
#: ``image_offset`` and ``image_size``: bytes of its image in a shard; ``line_number``: from 1;
#: ``height`` and ``width``: of the image in pixels; ``max_score``: highest score of its boxes of at
#: least one pixel (infinite for boxes without scores, -1 without boxes); ``max_label``: highest
#: label (-1 without labels); ``is_grounding``: 1 with a caption, 0 for detection.
ROW = np.dtype(
    [
        ("offset", "<i8"),
        ("size", "<i8"),
        ("image_offset", "<i8"),
        ("image_size", "<i8"),
        ("line_number", "<i8"),
        ("max_score", "<f8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("max_label", "<i4"),
        ("is_grounding", "<i4"),
    ]
)
_MAX_INT32 = 2**31 - 1

#: Part of the fingerprint; to be increased when the content of an index changes.
_VERSION = 3


@dataclass(frozen=True)
class FileIndex:
    """The index of one file.

    Attributes:
        path: Path of the ``.jsonl`` file or the shard.
        rows: A row of :data:`ROW` for each valid record.
        num_records: Number of records, valid and invalid.
        invalid: The invalid records.
        categories: The first category of each label that has one in the records.
    """

    path: str
    rows: np.ndarray
    num_records: int
    invalid: InvalidRecords
    categories: dict[int, str]

    def __reduce__(self) -> tuple:  # a spawned worker maps the file instead of receiving the rows
        return open_index, (self.path,)


def open_index(path: str) -> FileIndex:
    """Open the index of a ``.jsonl`` file or a shard; build it if there is none for the content.

    Raises:
        OSError: The file cannot be read, or changed while its index was built.
        TarFileError: A shard is damaged.
    """
    data = _describe(path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    real_path = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()
    stems = [Path(f"{path}.odvg_index"), cache / "glip" / "odvg" / f"{real_path}.odvg_index"]
    for stem in stems:
        index = _load(stem, path, data)
        if index is not None:
            return index
    for stem in stems:
        rows_file, summary_file = _files(stem, data)
        with ExitStack() as stack:
            try:
                stem.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(atomic_open(rows_file))
            except OSError:  # not writable
                continue
            summary = _build(path, data, file)
        with atomic_open(summary_file) as file:
            file.write(json.dumps(summary).encode())
        index = _load(stem, path, _describe(path))
        if index is None:
            raise OSError(f"'{path}' changed while its index '{rows_file}' was built; start again.")
        _remove_stale(stem, data)
        return index
    buffer = io.BytesIO()
    summary = _build(path, data, buffer)
    buffer.seek(0)
    return _index(path, np.load(buffer), summary)


def _describe(path: str) -> dict[str, Any]:
    """Return what identifies the content of a data file."""
    status = os.stat(path)
    return dict(
        name=os.path.basename(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        version=_VERSION,
    )


def _files(stem: Path, data: dict[str, Any]) -> tuple[Path, Path]:
    """Return the paths of the rows and of the summary."""
    fingerprint = hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]
    name = f"{stem.name}.{fingerprint}"
    return stem.with_name(f"{name}.npy"), stem.with_name(f"{name}.json")


def _build(path: str, data: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
    """Write the rows of a data file in numpy's format, in constant memory; return the summary."""
    invalid = InvalidRecords()
    categories: dict[int, str] = {}
    num_rows = num_records = checksum = 0
    _write_header(file, num_rows)
    description = f"index of {data['name']}"
    with tqdm(total=data["size"], desc=description, unit="B", unit_scale=True, delay=2) as progress:
        for record in iter_records(path):
            num_records += 1
            progress.update(max(record.offset + record.size - progress.n, 0))
            try:
                content = _valid_content(record)
            except OdvgRecordError as error:
                invalid.add(error.reason, record.line_number)
                continue
            row = np.array(_row(record, content), ROW).tobytes()
            checksum = zlib.crc32(row, checksum)
            file.write(row)
            num_rows += 1
            for instance in (content.get("detection") or {}).get("instances", ()):
                if instance.get("category") is not None:
                    categories.setdefault(instance["label"], instance["category"])
    file.seek(0)
    _write_header(file, num_rows)
    summary = dict(
        data=data,
        num_rows=num_rows,
        num_records=num_records,
        invalid=asdict(invalid),
        categories=list(categories.items()),
        rows_checksum=checksum,
    )
    return summary | dict(checksum=_checksum(summary))


def _checksum(summary: dict[str, Any]) -> int:
    """Return the checksum of a summary, apart from its own."""
    content = {key: value for key, value in summary.items() if key != "checksum"}
    return zlib.crc32(json.dumps(content).encode())


def _write_header(file: BinaryIO, num_rows: int) -> None:
    """Write the header of the rows; numpy pads it, so its length is the same for any number."""
    header = dict(descr=np.lib.format.dtype_to_descr(ROW), fortran_order=False, shape=(num_rows,))
    np.lib.format.write_array_header_1_0(file, header)


def _valid_content(record: Record) -> dict[str, Any]:
    """Return the content of a record.

    Raises:
        OdvgRecordError: The record is invalid.
    """
    if record.error is not None:
        raise record.error
    check_record(record.content)
    return record.content  # type: ignore[return-value]  # checked


def _row(record: Record, content: dict[str, Any]) -> tuple:
    """Return the fields of :data:`ROW` for a valid record."""
    if content.get("detection") is not None:
        instances = content["detection"]["instances"]
        labels = [instance["label"] for instance in instances]
        boxes = [(instance["bbox"], np.inf) for instance in instances]
    else:
        labels, boxes = [], []
        for region in content["grounding"]["regions"]:
            found = boxes_of(region)
            boxes += zip(found, scores_of(region) or [np.inf] * len(found), strict=True)
    return (
        record.offset,
        record.size,
        *(record.image or (0, 0)),
        record.line_number,
        max((score for box, score in boxes if is_visible(box)), default=-1),
        min(content["height"], _MAX_INT32),
        min(content["width"], _MAX_INT32),
        min(max(labels, default=-1), _MAX_INT32),
        int(content.get("grounding") is not None),
    )


def _load(stem: Path, path: str, data: dict[str, Any]) -> FileIndex | None:
    """Open a stored index; None if there is none for the content, or if it is damaged."""
    rows_file, summary_file = _files(stem, data)
    if file_problem(rows_file) or file_problem(summary_file):
        return None
    try:
        summary = json.loads(summary_file.read_bytes())
        rows = np.load(rows_file, mmap_mode="r")  # refuses pickles
        if summary["data"] != data or rows.dtype != ROW or rows.shape != (summary["num_rows"],):
            return None
        if summary["checksum"] != _checksum(summary):
            return None
        if summary["rows_checksum"] != zlib.crc32(rows.view(np.uint8)):
            return None
        return _index(path, rows, summary)
    except Exception:  # a damaged file can raise any exception; the index is built again
        return None


def _index(path: str, rows: np.ndarray, summary: dict[str, Any]) -> FileIndex:
    return FileIndex(
        path,
        rows,
        summary["num_records"],
        InvalidRecords(**summary["invalid"]),
        dict(map(tuple, summary["categories"])),
    )


def _remove_stale(stem: Path, data: dict[str, Any]) -> None:
    """Delete the indexes of the file's former contents."""
    current = _files(stem, data)
    for file in map(Path, glob.glob(f"{glob.escape(str(stem))}.*")):
        if file not in current:
            with suppress(OSError):  # another process deleted it, or has it open (Windows)
                file.unlink()
