"""Referring expressions: Precision@k on RefCOCO, RefCOCO+ and RefCOCOg."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glip.datasets.annotation_file import AnnotationFile, check_exists, read_annotation_file
from glip.evaluation.base_metric import BaseDetMetric, ImageResult, check_metric
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.tables import log_table


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class RefExpMetric(BaseDetMetric):
    """Precision@k: the fraction of expressions with a correct box among the k best detections.

    ``refcoco_precision@1``, ``@5``, ``@10``, the same for every other data set named in the file
    (``refcoco+``, ``refcocog``), and ``mean_precision``, the mean of them all: fractions from
    0 to 1.

    A box is correct if its IoU with the ground truth is at least ``iou_thrs``. (MDETR's own script
    compares the generalised IoU, which is never larger.)

    Args:
        ann_file: the annotation file in MDETR's format; by default the data set's.
        metric: ``'bbox'``.
        topk: the values of k.
        iou_thrs: the least IoU of a correct box.
        backend_args: arguments of mmengine's file backend.

    The other arguments are those of :class:`~glip.evaluation.base_metric.BaseDetMetric`.

    Raises:
        DataError: ``metric`` is not ``'bbox'``.
        glip.utils.errors.AnnotationFileNotFoundError: the annotation file does not exist.
    """

    default_prefix = "refexp"

    ann_file: str | None = field(default=None, kw_only=False)
    metric: str | Sequence[str] = "bbox"
    topk: Sequence[int] = (1, 5, 10)
    iou_thrs: float = 0.5
    backend_args: dict | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metric(self.metric)
        if self.ann_file is not None:
            check_exists(self.ann_file, self.backend_args)
        self._file: AnnotationFile | None = None

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's meta information."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        path = self.ann_file or (dataset_meta or {}).get("ann_file")
        # mmengine's loops set it before every run.
        if path is not None and (self._file is None or self._file.path != str(path)):
            self._file = read_annotation_file(path, self.backend_args)
            num_boxes = sum(map(len, self._file.annotations.values()))
            self._file.check_not_all_skipped(num_boxes, [self._file.skipped])

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute and log the precision of each data set."""
        file = self._file
        if file is None and self.ann_file is not None:
            file = read_annotation_file(self.ann_file, self.backend_args)
        if file is None:
            raise DataError("RefExpMetric does not know the annotation file: set ann_file.")
        sources = {
            image["id"]: str(image.get("dataset_name", "refexp"))[:100] for image in file.images
        }
        correct: dict[str, list[list[bool]]] = defaultdict(list)
        num_skipped = 0
        for img_id, predictions in self.unique_images(results).items():
            if img_id not in sources:
                raise DataError(
                    f"the image {img_id!r} has predictions, but is not in '{file.path}'."
                )
            boxes = [entry["bbox"] for entry in file.annotations[img_id]]
            if not boxes:
                num_skipped += 1
                continue
            xyxy = np.array(boxes, float)
            xyxy[:, 2:] += xyxy[:, :2]
            hits = predictions.sort_by_score().iou(xyxy).max(axis=1) >= self.iou_thrs
            correct[sources[img_id]].append([bool(hits[:k].any()) for k in self.topk])
        if num_skipped:
            self.warn(f"{num_skipped} expressions without a ground-truth box are not counted.")
        precision = {name: np.mean(correct[name], axis=0) for name in sorted(correct)}
        rows = [[name, *values.tolist(), len(correct[name])] for name, values in precision.items()]
        log_table(["", *(f"P@{k}" for k in self.topk), "expressions"], rows)
        metrics = {
            f"{name}_precision@{k}": float(value)
            for name, values in precision.items()
            for k, value in zip(self.topk, values, strict=True)
        }
        mean = float(np.mean(list(metrics.values()))) if metrics else -1.0
        return {"mean_precision": mean, **metrics}
