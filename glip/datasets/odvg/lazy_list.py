"""All records of a data set as a list that reads a record on access."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from glip.datasets.odvg.index import ROW, FileIndex
from glip.datasets.odvg.records import (
    boxes_of,
    check_record,
    is_visible,
    parse_record,
    scores_of,
    spans_of,
)
from glip.datasets.odvg.sources import is_shard
from glip.datasets.tar_backend import member_url
from glip.utils.errors import AnnotationFileError, OdvgRecordError
from glip.utils.file_ranges import read_range


@dataclass(frozen=True)
class RecordReader:
    """Reads a record and returns its data info, in the form of the other data sets.

    Attributes:
        folder: Image folder, for records outside shards.
        score_thr: Boxes with a lower score are excluded.
    """

    folder: str
    score_thr: float

    def __call__(self, path: str, row: np.void, position: int) -> dict[str, Any]:
        """Read a record.

        Args:
            path: Path of its file.
            row: Its row in the index.
            position: Its position among all records, the default of its ``img_id``.

        Raises:
            AnnotationFileError: The file has changed since its index was opened.
        """
        try:
            record = parse_record(read_range(path, int(row["offset"]), int(row["size"])))
            check_record(record)
        except (OSError, OdvgRecordError) as error:
            raise AnnotationFileError(
                f"line {row['line_number']} of '{path}' has changed since the index was opened "
                f"({error}); start again."
            ) from error
        filename = record["filename"]
        if is_shard(path):
            offset, size = int(row["image_offset"]), int(row["image_size"])
            img_path = member_url(path, offset, size, filename)
        else:
            img_path = osp.join(self.folder, filename)
        info = dict(
            img_id=record.get("img_id", position),
            img_path=img_path,
            height=record["height"],
            width=record["width"],
        )
        if row["is_grounding"]:
            return {**info, **_grounding_info(record["grounding"], self.score_thr)}
        instances = [
            dict(bbox=instance["bbox"], bbox_label=instance["label"], ignore_flag=0)
            for instance in record["detection"]["instances"]
            if is_visible(instance["bbox"])
        ]
        return {**info, "instances": instances}


class LazyRecords(Sequence):
    """The data infos of the records of several files, or of a subset of them.

    In memory are at most eight bytes per record; everything else stays in the files and their
    memory-mapped indexes. The list is immutable, so a deep copy is the list itself.

    Args:
        files: The indexes of the files.
        read: Returns the data info of a record.
        positions: Positions of the subset among all records of all files; all by default.
    """

    def __init__(
        self, files: Sequence[FileIndex], read: RecordReader, positions: np.ndarray | None = None
    ) -> None:
        self.files = tuple(files)
        self.read = read
        self._ends = np.cumsum([len(file.rows) for file in files], dtype=np.int64)
        self._positions = positions

    def __len__(self) -> int:
        if self._positions is not None:
            return len(self._positions)
        return int(self._ends[-1]) if len(self._ends) else 0

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> LazyRecords: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | LazyRecords:
        """Read a record, or return a subset without reading."""
        if isinstance(index, slice):
            return self.subset(np.arange(len(self))[index])
        file, row, position = self._locate(index)
        return self.read(file.path, row, position)

    def __deepcopy__(self, memo: dict) -> LazyRecords:
        return self

    def subset(self, chosen: np.ndarray) -> LazyRecords:
        """Return a subset, without reading a record.

        Args:
            chosen: Indices into this list (n,), or a mask (len,), bool.
        """
        if chosen.dtype == bool and chosen.all():
            return self
        positions = np.arange(len(self)) if self._positions is None else self._positions
        return LazyRecords(self.files, self.read, positions[chosen])

    def column(self, name: str) -> np.ndarray:
        """Return a field of :data:`~glip.datasets.odvg.index.ROW` for all records (len,)."""
        columns = [np.asarray(file.rows[name]) for file in self.files]
        values = np.concatenate(columns) if columns else np.empty(0, ROW[name])
        return values if self._positions is None else values[self._positions]

    def image_size(self, index: int) -> tuple[int, int]:
        """Return width and height in pixels of a record's image, without reading the record."""
        _, row, _ = self._locate(index)
        return int(row["width"]), int(row["height"])

    def _locate(self, index: int) -> tuple[FileIndex, np.void, int]:
        """Return the file and the row of a record, and its position among all records."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} records")
        position = index % len(self)
        if self._positions is not None:
            position = int(self._positions[position])
        number = int(np.searchsorted(self._ends, position, side="right"))
        file = self.files[number]
        return file, file.rows[position - (int(self._ends[number]) - len(file.rows))], position


def _grounding_info(content: dict[str, Any], score_thr: float) -> dict[str, Any]:
    """Return the data info of a caption and its regions.

    Regions with the same spans are one phrase; phrases without a box are excluded.
    """
    caption = content["caption"]
    boxes_of_spans: dict[tuple, list[list[float]]] = {}
    for region in content["regions"]:
        boxes = boxes_of(region)
        scores = scores_of(region) or [np.inf] * len(boxes)
        kept = [
            box
            for box, score in zip(boxes, scores, strict=True)
            if score >= score_thr and is_visible(box)
        ]
        if kept:
            spans = tuple(map(tuple, spans_of(region, caption)))
            boxes_of_spans.setdefault(spans, []).extend(kept)
    labeled = [(label, box) for label, each in enumerate(boxes_of_spans.values()) for box in each]
    return dict(
        text=caption,
        custom_entities=False,
        tokens_positive=[[list(span) for span in spans] for spans in boxes_of_spans],
        phrases=[" ".join(caption[start:end] for start, end in spans) for spans in boxes_of_spans],
        phrase_ids=[label for label, _ in labeled],
        instances=[dict(bbox=box, bbox_label=label, ignore_flag=0) for label, box in labeled],
    )
