"""All lines of a data set as a list that reads a line when it is asked for."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from glip.datasets.odvg.index import ROW, FileIndex, is_visible
from glip.datasets.odvg.records import boxes_of, check_record, parse_record, scores_of, spans_of
from glip.datasets.odvg.sources import is_shard
from glip.datasets.tar_backend import member_url
from glip.utils.errors import AnnotationFileError, OdvgRecordError
from glip.utils.file_ranges import read_range


@dataclass(frozen=True)
class RecordReader:
    """Makes the data info of a line, as other data sets give it.

    Attributes:
        folder: of the images, outside shards.
        score_thr: boxes whose score is lower are left out.
    """

    folder: str
    score_thr: float

    def __call__(self, path: str, row: np.void, position: int) -> dict[str, Any]:
        """Read a line.

        Args:
            path: of its file.
            row: of the index.
            position: of the line among all, its ``img_id`` if it has none itself.

        Raises:
            AnnotationFileError: the file was changed since its index was made.
        """
        try:
            line = parse_record(read_range(path, int(row["offset"]), int(row["size"])))
            check_record(line)
        except (OSError, OdvgRecordError) as error:
            raise AnnotationFileError(
                f"line {row['number']} of '{path}' is not what it was when its index was made "
                f"({error}); start again."
            ) from error
        name = line["filename"]
        if is_shard(path):
            image = (int(row["image_offset"]), int(row["image_size"]))
            img_path = member_url(path, *image, name)
        else:
            img_path = osp.join(self.folder, name)
        known = dict(
            img_id=line.get("img_id", position),
            img_path=img_path,
            height=line["height"],
            width=line["width"],
        )
        if row["grounding"]:
            return {**known, **_grounding(line["grounding"], self.score_thr)}
        return {**known, "instances": _detection(line["detection"])}


class LazyRecords(Sequence):
    """The lines of all files, or some of them, as data infos.

    In memory are eight bytes a line at most; the rest is in the files and their mapped indexes.
    A copy of a table is the table itself, which never changes.

    Args:
        files: the indexes.
        read: makes the data info of a line.
        positions: of the lines wanted, among all of all files; by default all.
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
        """Read a line, or give a table of some of them without reading."""
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        file, row, position = self._find(index)
        return self.read(file.path, row, position)

    def __deepcopy__(self, memo: dict) -> LazyRecords:
        return self

    def take(self, chosen: np.ndarray) -> LazyRecords:
        """Give a table of some lines, without reading any.

        Args:
            chosen: their places in this table (n,), or for each line whether it is wanted (len,),
                bool.
        """
        if chosen.dtype == bool and chosen.all():
            return self
        own = np.arange(len(self)) if self._positions is None else self._positions
        return LazyRecords(self.files, self.read, own[chosen])

    def column(self, name: str) -> np.ndarray:
        """A field of all lines, from the index."""
        columns = [np.asarray(file.rows[name]) for file in self.files]
        whole = np.concatenate(columns) if columns else np.empty(0, ROW[name])
        return whole if self._positions is None else whole[self._positions]

    def size(self, index: int) -> tuple[int, int]:
        """Width and height in pixels of the image of a line, from the index."""
        _, row, _ = self._find(index)
        return int(row["width"]), int(row["height"])

    def _find(self, index: int) -> tuple[FileIndex, np.void, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} lines, and none at {index}")
        place = index % len(self)
        position = place if self._positions is None else int(self._positions[place])
        at = int(np.searchsorted(self._ends, position, side="right"))
        file = self.files[at]
        return file, file.rows[position - (int(self._ends[at]) - len(file.rows))], position


def _detection(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        dict(bbox=each["bbox"], bbox_label=each["label"], ignore_flag=0)
        for each in content["instances"]
        if is_visible(each["bbox"])
    ]


def _grounding(content: dict[str, Any], score_thr: float) -> dict[str, Any]:
    """Turn a caption and its regions into what the data info has of them.

    Regions with the same spans are one phrase; a phrase without a box is left out.
    """
    caption = content["caption"]
    boxes: dict[tuple, list[list[float]]] = {}
    for region in content["regions"]:
        spans = tuple(map(tuple, spans_of(region, caption)))
        listed = boxes_of(region)
        scores = scores_of(region) or [np.inf] * len(listed)
        kept = [
            box
            for box, score in zip(listed, scores, strict=True)
            if score >= score_thr and is_visible(box)
        ]
        if kept:
            boxes.setdefault(spans, []).extend(kept)
    pairs = [(label, box) for label, each in enumerate(boxes.values()) for box in each]
    return dict(
        text=caption,
        custom_entities=False,
        tokens_positive=[[list(span) for span in spans] for spans in boxes],
        phrases=[" ".join(caption[start:end] for start, end in spans) for spans in boxes],
        phrase_ids=[label for label, _ in pairs],
        instances=[dict(bbox=box, bbox_label=label, ignore_flag=0) for label, box in pairs],
    )
