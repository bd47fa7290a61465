"""Referring expressions: Precision@k on RefCOCO, RefCOCO+ and RefCOCOg."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from glip.datasets.annotation_file import box_problem, check_exists, read_annotation_file
from glip.evaluation.coco_metric import check_metric
from glip.evaluation.image_metric import ImageMetric, Predictions
from glip.evaluation.overlaps import box_iou
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.tables import log_table


@METRICS.register_module()
class RefExpMetric(ImageMetric):
    """The share of expressions for which one of the k best boxes is the thing meant.

    ``refcoco_precision@1``, ``@5``, ``@10``, the same for every other data set named in the file
    (``refcoco+``, ``refcocog``), and ``mean_precision``, the mean of them all: fractions from
    0 to 1.

    A box is right if its IoU with the true one is at least ``iou_thrs``. (MDETR's own script
    compares the generalised IoU, which is never larger.)

    Args:
        ann_file: the annotation file in MDETR's format; by default the data set's.
        metric: ``'bbox'``.
        topk: the ks.
        iou_thrs: the IoU from which a box is right.
        backend_args: mmengine's file backend and its settings.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        DataError: ``metric`` is another one.
        glip.datasets.annotation_file.AnnotationFileNotFoundError: there is no such file.
    """

    default_prefix = "refexp"

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = "bbox",
        topk: Sequence[int] = (1, 5, 10),
        iou_thrs: float = 0.5,
        backend_args: dict | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        check_metric(metric)
        if ann_file is not None:
            check_exists(ann_file, backend_args)
        self.ann_file = ann_file
        self.topk = tuple(topk)
        self.iou_thrs = iou_thrs
        self.backend_args = backend_args

    def score(self, images: dict[Any, Predictions]) -> dict[str, float]:
        """Count the expressions whose thing is found."""
        path = self.ann_file or (self.dataset_meta or {}).get("ann_file")
        if path is None:
            raise DataError("RefExpMetric does not know what to score against: set ann_file.")
        file = read_annotation_file(path, self.backend_args)
        sources = {each["id"]: each.get("dataset_name", "refexp") for each in file.images}
        right: dict[str, list[list[bool]]] = defaultdict(list)
        without = 0
        for img_id, predictions in images.items():
            if img_id not in sources:
                raise DataError(f"the image {img_id!r}, which was run, is not in '{path}'.")
            entries = file.annotations[img_id]
            truth = [entry["bbox"] for entry in entries if box_problem(entry.get("bbox")) is None]
            if not truth:
                without += 1
                continue
            corners = np.array(truth, float)
            corners[:, 2:] += corners[:, :2]
            hits = box_iou(predictions.best_first().bboxes, corners).max(axis=1) >= self.iou_thrs
            right[sources[img_id]].append([bool(hits[:k].any()) for k in self.topk])
        if without:
            self.warn(f"{without} expressions without a true box are not counted.")
        precision = {name: np.mean(right[name], axis=0) for name in sorted(right)}
        rows = [[name, *values.tolist(), len(right[name])] for name, values in precision.items()]
        log_table(["", *(f"P@{k}" for k in self.topk), "expressions"], rows)
        numbers = {
            f"{name}_precision@{k}": float(value)
            for name, values in precision.items()
            for k, value in zip(self.topk, values, strict=True)
        }
        mean = float(np.mean(list(numbers.values()))) if numbers else -1.0
        return {"mean_precision": mean, **numbers}
