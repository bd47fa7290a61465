"""The ODVG data set: detection and grounding records from JSON lines or tar shards."""

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
    """A training data set of detection and grounding records, in any mixture.

    The prompt of a detection record is all names of the label map, from which
    ``RandomSamplingNegPos`` in the pipeline samples a subset. The prompt of a grounding record is
    its caption with the character spans of its phrases, and a label is the index of a phrase, as in
    :class:`~glip.datasets.flickr30k.Flickr30kDataset`. Captions without a box and boxes smaller
    than one pixel are excluded.

    Records are read on access. The fields that are needed of all records are in an index, which is
    built at the first start and stored beside the data (:mod:`glip.datasets.odvg.index`).

    Invalid records are skipped; one warning counts them by reason, with line numbers, and
    ``max_invalid_records`` limits them. ``glip check`` lists all of them.

    Args:
        ann_file: Files of records (``.jsonl``, ``.json``) or shards (``.tar``), one or a list,
            relative to ``data_root``. Patterns are expanded: ``shards/*.tar``,
            ``train-{000..099}.tar``.
        label_map_file: Names of the labels of detection records, relative to ``data_root``;
            ``metainfo['classes']`` may give them instead.
        score_thr: Exclude boxes of grounding records with a lower score. Boxes without a score,
            which a person annotated, are kept.
        need_text: Use the label map as the prompt of detection records; the same as
            ``return_classes``.
        max_invalid_records: Limit of invalid records: a fraction (a float) or a number (an int).
        filter_cfg: For training, ``filter_empty_gt`` (exclude detection records without boxes) and
            ``min_size`` (exclude images whose shorter side has fewer pixels).
        metainfo: Further metadata, such as ``classes``.
        data_root: The folder that other paths are relative to.
        return_classes: Use the label map as the prompt of detection records.
        backend_args: Must be None; records are read from local files.
        **kwargs: Arguments of :class:`~glip.datasets.base.BaseDetDataset`.

    Raises:
        AnnotationFileError: A file is missing or unusable, too many records are invalid, the label
            map is not that of the records, or no record is left.
        DataError: The arguments contradict each other.
    """

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
        **kwargs: Any,
    ) -> None:
        if backend_args is not None:
            raise DataError(
                "ODVGDataset reads byte ranges of local files, so it takes no backend_args, but "
                f"got {backend_args}."
            )
        if label_map_file is not None:
            names = read_label_map(osp.join(data_root or "", label_map_file))
            metainfo = dict(metainfo or {})
            if tuple(metainfo.get("classes", names)) != names:
                raise DataError(
                    f"metainfo['classes'] differ from the names of '{label_map_file}'; give only "
                    "one of them."
                )
            metainfo["classes"] = names
        self._patterns = [ann_file] if isinstance(ann_file, str) else list(ann_file)
        self.score_thr = score_thr
        self.max_invalid_records = max_invalid_records
        super().__init__(
            metainfo=metainfo,
            data_root=data_root,
            return_classes=return_classes and need_text,
            serialize_data=False,  # the records stay in their files
            **kwargs,
        )

    def _join_prefix(self) -> None:
        super()._join_prefix()
        self._patterns = [osp.join(self.data_root or "", each) for each in self._patterns]
        more = f" and {len(self._patterns) - 1} more" if len(self._patterns) > 1 else ""
        self.ann_file = f"{self._patterns[0]}{more}" if self._patterns else ""

    def _check_ann_file(self) -> None:
        expand_patterns(self._patterns)

    def load_data_list(self) -> LazyRecords:  # type: ignore[override]
        """Open the indexes of all files, without reading a record of a file that has one."""
        files = [open_index(path) for path in expand_patterns(self._patterns)]
        records = LazyRecords(files, RecordReader(self.data_prefix["img"], self.score_thr))
        has_known_labels = self._check_labels(records)
        self._report_invalid(files, has_known_labels)
        return records.subset(has_known_labels)

    def _check_labels(self, records: LazyRecords) -> np.ndarray:
        """Check the label map; return which records (N,), bool, have all their labels in it."""
        names = self._metainfo.get("classes")
        max_labels = records.column("max_label")
        if names is None:
            if not records.column("is_grounding").all():
                raise AnnotationFileError(
                    f"'{self.ann_file}' has detection records, whose labels need names; give "
                    "label_map_file, or metainfo=dict(classes=...)."
                )
            return np.ones(len(records), bool)
        wrong = [
            f"{label} is {category!r} in '{file.path}' and {names[label]!r} in the label map"
            for file in records.files
            for label, category in file.categories.items()
            if label < len(names) and category.casefold() != names[label].casefold()
        ]
        if wrong:
            more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise AnnotationFileError(
                "the label map does not match the records, or its names have another order: label "
                f"{'; label '.join(wrong[:3])}{more}. Give the label map that was written with the "
                "records."
            )
        return max_labels < len(names)

    def _report_invalid(self, files: Sequence[FileIndex], has_known_labels: np.ndarray) -> None:
        """Warn of invalid records and of unknown labels; raise if there are too many."""
        summaries, total, start = [], 0, 0
        for file in files:
            known = has_known_labels[start : start + len(file.rows)]
            start += len(file.rows)
            invalid = copy.deepcopy(file.invalid)
            for line_number in file.rows["line_number"][~known]:
                invalid.add("a label is not in the label map", int(line_number))
            total += invalid.total
            if invalid.total:
                summaries.append(f"'{file.path}': {invalid.summary()}")
        if not total:
            return
        num_records = sum(file.num_records for file in files)
        more = f"; and of {len(summaries) - 5} more files" if len(summaries) > 5 else ""
        found = f"{total} of {num_records} records are invalid. {'. '.join(summaries[:5])}{more}"
        limit = self.max_invalid_records
        if total > (limit if isinstance(limit, int) else limit * num_records):
            raise AnnotationFileError(
                f"{found}. Fix them (`glip check` lists all), or raise "
                f"max_invalid_records ({limit})."
            )
        message = f"{type(self).__name__} skips invalid records: {found}."
        print_log(message, logger="current", level=logging.WARNING)

    def filter_data(self) -> LazyRecords:  # type: ignore[override]
        """Exclude captions without a box and, in training, what ``filter_cfg`` excludes."""
        records: LazyRecords = self.data_list  # type: ignore[assignment]
        has_boxes = records.column("max_score") >= max(self.score_thr, 0)
        kept = has_boxes | (records.column("is_grounding") == 0)
        if not self.test_mode and self.filter_cfg:
            if self.filter_cfg.get("filter_empty_gt", False):
                kept &= has_boxes
            min_size = self.filter_cfg.get("min_size", 0)
            kept &= np.minimum(records.column("width"), records.column("height")) >= min_size
        return records.subset(kept)

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> LazyRecords:  # type: ignore[override]
        records: LazyRecords = self.data_list  # type: ignore[assignment]
        if isinstance(indices, int):
            return records[:indices] if indices >= 0 else records[indices:]
        return records.subset(np.asarray(indices, dtype=np.int64))

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Return width and height of an image in pixels, without reading its record."""
        self.full_init()
        return self.data_list.image_size(idx)  # type: ignore[attr-defined]
