"""cgF1 on a data set in COCO's format: every class is a phrase that is asked of every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glip.datasets.annotation_file import check_exists
from glip.evaluation.base_metric import BaseDetMetric, ImageResult
from glip.evaluation.cgf1 import SCORE_THRESHOLD, CGF1Counts
from glip.evaluation.ground_truth import check_labels, load_ground_truth
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.options import check_number
from glip.utils.tables import log_table


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class CGF1Metric(BaseDetMetric):
    """SA-Co's cgF1 on boxes; see :mod:`glip.evaluation.cgf1` for its definition.

    Every class of the data set counts as a phrase that is asked of every image, so the annotations
    have to be complete. ``cgF1``, ``cgF1_50`` (-100 to 100), ``pmF1``, ``pmF1_50``, ``IL_MCC``,
    ``IL_precision`` and ``IL_recall``.

    Args:
        ann_file: the annotation file; by default the data set's.
        score_thr: smallest score of a detection, or one for each class (official: 0.5). It decides
            much of the result: choose it on other images than these.
        backend_args: arguments of mmengine's file backend.

    The other arguments are those of :class:`~glip.evaluation.base_metric.BaseDetMetric`.

    Raises:
        ConfigError: a threshold is not a number from 0 to 1.
        AnnotationFileError: the annotation file does not exist or is invalid, or does not have the
            classes.
        DataError: the number of thresholds is not that of the classes.
    """

    default_prefix = "saco"

    ann_file: str | None = field(default=None, kw_only=False)
    score_thr: float | Sequence[float] = SCORE_THRESHOLD
    backend_args: dict | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        thresholds = (
            [self.score_thr] if isinstance(self.score_thr, (int, float)) else self.score_thr
        )
        for each in thresholds:
            check_number("score_thr", each, low=0, high=1)
        if self.ann_file is not None:
            check_exists(self.ann_file, self.backend_args)

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute and log the metrics."""
        meta = self.dataset_meta or {}
        path = self.ann_file or meta.get("ann_file")
        if path is None or "classes" not in meta:
            raise DataError(
                "CGF1Metric needs the classes and the annotation file of one data set, got the "
                f"meta information {sorted(meta)}: set its dataset_meta"
            )
        truth = load_ground_truth(path, meta["classes"], self.backend_args)
        thresholds = np.asarray(self.score_thr, dtype=float)
        if thresholds.ndim and len(thresholds) != len(truth.classes):
            raise DataError(
                f"expected score_thr for each of {len(truth.classes)} classes, got "
                f"{len(thresholds)} thresholds"
            )
        thresholds = np.broadcast_to(thresholds, len(truth.classes))
        counts = CGF1Counts()
        for img_id, found in self.unique_images(results).items():
            if img_id not in truth.file.annotations:
                raise DataError(f"the image {img_id!r:.100} has predictions but is not in '{path}'")
            check_labels(found, len(truth.classes))
            found = found[found.scores >= thresholds[found.labels]]
            for label, category_id in enumerate(truth.category_ids):
                boxes = [
                    each["bbox"]
                    for each in truth.file.annotations[img_id]
                    if each["category_id"] == category_id and not each["iscrowd"]
                ]
                xywh = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
                xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
                counts.add(xyxy, found.bboxes[found.labels == label])
        metrics = counts.metrics()
        log_table(["cgF1", ""], [[key, value] for key, value in metrics.items()])
        return metrics
