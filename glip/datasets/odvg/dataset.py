"""Detection and grounding data in ODVG's lines, as many as there are."""

from __future__ import annotations

import copy
import logging
import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.logging import print_log

from glip.datasets.base import BaseDetDataset
from glip.datasets.odvg.index import FileIndex, open_index
from glip.datasets.odvg.lazy_list import LazyRecords, RecordReader
from glip.datasets.odvg.sources import expand_patterns
from glip.datasets.odvg.writing import read_label_map
from glip.registry import DATASETS
from glip.utils.errors import AnnotationFileError, DataError


@DATASETS.register_module()
class ODVGDataset(BaseDetDataset):
    """Lines of detection and of grounding data, mixed as they come, for training.

    The prompt of a detection line is the list of all names of the label map, of which
    ``RandomSamplingNegPos`` in the pipeline draws some. The prompt of a grounding line is its
    caption with the character spans of its phrases, and a label is the position of a phrase, as in
    :class:`~glip.datasets.flickr30k.Flickr30kDataset`; captions of which no phrase has a box are
    left out. Boxes smaller than one pixel are left out of both.

    Lines are read when they are asked for. What is known of all of them is an index, made at the
    first start and kept beside the data (:mod:`glip.datasets.odvg.index`).

    **Bad lines** are left out, and one warning counts them by reason with their numbers;
    ``max_invalid_records`` sets a limit. ``tools/misc/check_odvg.py`` lists them all.

    Args:
        ann_file: files of lines (``.jsonl``, ``.json``) or shards (``.tar``), one or a list, also
            as patterns: ``shards/*.tar``, ``train-{000..099}.tar``. Relative to ``data_root``.
        label_map_file: the names of the labels of detection lines, relative to ``data_root``;
            ``metainfo['classes']`` may say them instead.
        score_thr: leave out boxes of grounding lines whose score is lower. Those without a score,
            which somebody drew, stay.
        need_text: give the prompt of detection lines; another word for ``return_classes``.
        max_invalid_records: how many records may be invalid: a share of all (a float), or their
            number (an int).
        filter_cfg: for training, ``filter_empty_gt`` (leave out detection lines without boxes) and
            ``min_size`` (leave out images whose shorter side has fewer pixels).
        metainfo: facts about the data.
        data_root: the folder of everything.
        return_classes: give the prompt of detection lines.
        backend_args: must be None; lines are read from local files.
        **others: the arguments of :class:`~glip.datasets.base.BaseDetDataset`.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: a file is absent or unusable, too many
            lines are bad, the label map is another one than that of the lines, or nothing is left.
        DataError: the arguments contradict each other.
    """

    PROMPT_KEYS = (*BaseDetDataset.PROMPT_KEYS, "phrases", "phrase_ids")

    def __init__(
        self,
        ann_file: str | Sequence[str] = "",
        *,
        label_map_file: str | None = None,
        score_thr: float = 0.0,
        need_text: bool = True,
        max_invalid_records: float = 0.1,
        metainfo: dict | None = None,
        data_root: str = "",
        return_classes: bool = True,
        backend_args: dict | None = None,
        **others: Any,
    ) -> None:
        if backend_args is not None:
            raise DataError(
                "ODVGDataset reads lines by their place in a local file, so it takes no "
                f"backend_args, but got {backend_args}."
            )
        if label_map_file is not None:
            names = read_label_map(osp.join(data_root or "", label_map_file))
            metainfo = dict(metainfo or {})
            if tuple(metainfo.get("classes", names)) != names:
                raise DataError(
                    f"metainfo['classes'] are others than the names of '{label_map_file}'; leave "
                    "one of them out."
                )
            metainfo["classes"] = names
        self._patterns = [ann_file] if isinstance(ann_file, str) else list(ann_file)
        self.score_thr = score_thr
        self.max_invalid_records = max_invalid_records
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            return_classes=return_classes and need_text,
            serialize_data=False,  # nothing is held that could be
            **others,
        )

    def _join_prefix(self) -> None:
        super()._join_prefix()
        self._patterns = [osp.join(self.data_root or "", each) for each in self._patterns]
        more = f" and {len(self._patterns) - 1} more" if len(self._patterns) > 1 else ""
        self.ann_file = f"{self._patterns[0]}{more}" if self._patterns else ""

    def _check_ann_file(self) -> None:
        expand_patterns(self._patterns)

    def load_data_list(self) -> LazyRecords:  # type: ignore[override]
        """Open the indexes of all files; no line is read whose index is there."""
        files = [open_index(path) for path in expand_patterns(self._patterns)]
        table = LazyRecords(files, RecordReader(self.data_prefix["img"], self.score_thr))
        known = self._check_labels(table)
        self._check_bad_lines(files, known)
        return table.take(known)

    def _check_labels(self, table: LazyRecords) -> np.ndarray:
        """Compare the labels with the label map; say for each line whether they are in it, bool."""
        names = self._metainfo.get("classes")
        labels = table.column("label")
        if names is None:
            if (table.column("grounding") == 0).any():
                raise AnnotationFileError(
                    f"'{self.ann_file}' has detection lines, whose labels need names; give "
                    "label_map_file, or metainfo=dict(classes=...)."
                )
            return np.ones(len(table), bool)
        wrong = [
            f"{label} is {category!r} in '{file.path}' and {names[label]!r} in the label map"
            for file in table.files
            for label, category in file.categories.items()
            if label < len(names) and category.casefold() != names[label].casefold()
        ]
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise AnnotationFileError(
                "the label map is not that of the lines, or its names have another order: label "
                f"{'; label '.join(wrong[:3])}{more}. Give the label map that was written with the "
                "lines."
            )
        return labels < len(names)

    def _check_bad_lines(self, files: Sequence[FileIndex], known: np.ndarray) -> None:
        """Warn of bad lines, and stop if there are too many."""
        ends = np.cumsum([0, *(len(file.rows) for file in files)])
        summaries, total = [], 0
        for number, file in enumerate(files):
            bad = copy.deepcopy(file.bad)
            for row in np.flatnonzero(~known[ends[number] : ends[number + 1]]):
                bad.add("a label is not in the label map", int(file.rows["number"][row]))
            total += bad.total
            if bad.total:
                summaries.append(f"'{file.path}': {bad.summary()}")
        if not total:
            return
        lines = sum(file.lines for file in files)
        more = f"; and of {len(summaries) - 5} more files" if len(summaries) > 5 else ""
        found = f"{total} of {lines} lines are bad. {'. '.join(summaries[:5])}{more}"
        allowed = self.max_invalid_records
        if total > (allowed if isinstance(allowed, int) else allowed * lines):
            raise AnnotationFileError(
                f"{found}. Mend them (tools/misc/check_odvg.py lists all), or raise "
                f"max_invalid_records ({allowed})."
            )
        message = f"{type(self).__name__} leaves out bad lines: {found}."
        print_log(message, logger="current", level=logging.WARNING)

    def filter_data(self) -> LazyRecords:  # type: ignore[override]
        """Leave out captions without a box, and when training what ``filter_cfg`` says."""
        table: LazyRecords = self.data_list  # type: ignore[assignment]
        has_boxes = table.column("best") >= max(self.score_thr, 0)
        kept = has_boxes | (table.column("grounding") == 0)
        if not self.test_mode and self.filter_cfg:
            if self.filter_cfg.get("filter_empty_gt", False):
                kept &= has_boxes
            min_size = self.filter_cfg.get("min_size", 0)
            kept &= np.minimum(table.column("width"), table.column("height")) >= min_size
        return table.take(kept)

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> LazyRecords:  # type: ignore[override]
        table: LazyRecords = self.data_list  # type: ignore[assignment]
        if isinstance(indices, int):
            return table[:indices] if indices >= 0 else table[indices:]
        return table.take(np.asarray(indices, dtype=np.int64))

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Width and height of an image in pixels, without reading its line."""
        self.full_init()
        return self.data_list.size(idx)  # type: ignore[attr-defined]
