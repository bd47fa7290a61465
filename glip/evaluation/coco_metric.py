"""Average precision as COCO defines it, computed with pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glip.datasets.annotation_values import id_order
from glip.evaluation.base_ap_metric import BaseAPMetric, ClassCurves, mean_of, write_results
from glip.evaluation.base_metric import ImageResult, check_metric
from glip.evaluation.ground_truth import GroundTruth, to_coco_results
from glip.evaluation.predictions import Predictions
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.messages import shorten, suggest
from glip.utils.tables import log_table

#: pycocotools' area ranges, in its order: all, below 32² pixels, from 32² to 96², above 96².
_AREAS = ("", "_s", "_m", "_l")


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class CocoMetric(BaseAPMetric):
    """The twelve COCO metrics for boxes, equal to pycocotools' bit for bit.

    ``bbox_mAP`` (IoU 0.50 to 0.95), ``bbox_mAP_50``, ``bbox_mAP_75``, ``bbox_mAP_s``, ``_m``,
    ``_l`` (small, medium, large objects), and ``bbox_AR@1``, ``@10``, ``@100``, ``bbox_AR_s@100``,
    ``_m``, ``_l``: fractions from 0 to 1, or -1 where the file has no such annotations.

    The metric evaluates on the images that the model ran on, and warns if these are not all images
    of the file. It finds the classes in the file by name.

    Args:
        metric: ``'bbox'``.
        class_groups: names of groups of classes and their class names, for example
            ``dict(seen=[...], held_out=[...])``. Also computes ``bbox_mAP_<group>`` and
            ``bbox_mAP_50_<group>``, the mean over the classes of each group.
        proposal_nums: three limits of detections per image and class; AP uses the largest.
        iou_thrs: the IoU thresholds, by default 0.50 to 0.95 in steps of 0.05. Without 0.5 and 0.75
            there is no ``mAP_50`` and ``mAP_75``.
        metric_items: the metrics to return, for example ``['mAP', 'AR@100']``; by default all.

    The other arguments are those of :class:`~glip.evaluation.base_ap_metric.BaseAPMetric`.

    Raises:
        DataError: an argument is invalid.
        glip.utils.errors.AnnotationFileError: the annotation file does not exist, is invalid, or
            does not have the classes.
    """

    default_prefix = "coco"

    metric: str | Sequence[str] = "bbox"
    class_groups: Mapping[str, Sequence[str]] | None = None
    proposal_nums: Sequence[int] = (1, 10, 100)
    iou_thrs: float | Sequence[float] | None = None
    metric_items: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metric(self.metric)
        if len(self.proposal_nums) != 3:
            raise DataError(
                f"expected three proposal_nums, as (1, 10, 100), got {self.proposal_nums}."
            )
        self.proposal_nums = sorted(self.proposal_nums)
        self._groups = {name: tuple(group) for name, group in (self.class_groups or {}).items()}
        known = _metric_names(self.proposal_nums)
        known += [f"{key}_{group}" for group in self._groups for key in ("mAP", "mAP_50")]
        unknown = [item for item in self.metric_items or () if item not in known]
        if unknown:
            raise DataError(f"metric_items has {unknown}; expected some of {known}.")

    def load_annotations(self, meta: dict) -> GroundTruth:
        """Read the annotation file and check that the groups consist of the data set's classes."""
        ground_truth = super().load_annotations(meta)
        for group, members in self._groups.items():
            unknown = sorted(set(members) - set(ground_truth.classes))
            if unknown:
                raise DataError(
                    f"class_groups[{group!r}] has {len(unknown)} names that are not classes of the "
                    f"data, for example {shorten(unknown[0])}: "
                    f"{suggest(unknown[0], ground_truth.classes)}"
                )
        return ground_truth

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute and log the metrics."""
        images = self.unique_images(results)
        detections = _coco_results(self.ground_truth, images)
        if self.outfile_prefix is not None:
            write_results(detections, self.outfile_prefix)
        if self.format_only:
            return {}
        img_ids = self.evaluated_image_ids(images)
        evaluation = self._run_cocoeval(self.ground_truth, detections, img_ids)
        metrics = {**self._summarize(evaluation), **self._by_group(evaluation)}
        log_table(["bbox", ""], [[key, value] for key, value in metrics.items()])
        items = self.metric_items if self.metric_items is not None else list(metrics)
        summary = {f"bbox_{key}": metrics[key] for key in items if key in metrics}
        return {**summary, **(self._by_class(evaluation) if self.classwise else {})}

    def compute_ap(
        self, ground_truth: GroundTruth, images: Mapping[Any, Predictions]
    ) -> dict[str, float]:
        """Compute the metrics without logging."""
        detections = _coco_results(ground_truth, images)
        return self._summarize(self._run_cocoeval(ground_truth, detections, list(images)))

    def compute_curves(self, images: Mapping[Any, Predictions]) -> ClassCurves:
        """Compute precision and recall of each class over objects of all sizes."""
        img_ids = self.evaluated_image_ids(images)
        detections = _coco_results(self.ground_truth, images)
        evaluation = self._run_cocoeval(self.ground_truth, detections, img_ids)
        params, result = evaluation.params, evaluation.eval
        return self.make_curves(
            img_ids,
            np.asarray(params.iouThrs),
            np.asarray(params.recThrs),
            result["precision"][..., 0, -1],
            result["recall"][..., 0, -1],
        )

    def _run_cocoeval(
        self, ground_truth: GroundTruth, detections: list[dict[str, Any]], img_ids: list[Any]
    ) -> Any:
        """Run pycocotools and return its COCOeval.

        It accepts only integers as ids, and takes the annotation id 0 as "no match". Therefore
        everything gets a number here, in the order of the ids: ties are broken by that order.
        """
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        img_ids = sorted(set(img_ids), key=id_order)
        images = {key: number for number, key in enumerate(img_ids, 1)}
        categories = {key: number for number, key in enumerate(ground_truth.evaluated_ids, 1)}
        annotations = [
            each
            for key in img_ids
            for each in ground_truth.file.annotations[key]
            if each["category_id"] in categories
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            annotated = COCO()
            annotated.dataset = dict(
                images=[dict(id=number) for number in images.values()],
                categories=[dict(id=number) for number in categories.values()],
                annotations=[
                    _numbered(each, images, categories, id=number)
                    for number, each in enumerate(annotations, 1)
                ],
            )
            annotated.createIndex()
            if detections:
                detected = annotated.loadRes(
                    [_numbered(each, images, categories) for each in detections]
                )
            else:  # loadRes does not accept an empty list
                detected = COCO()
                detected.dataset = {**annotated.dataset, "annotations": []}
                detected.createIndex()
            evaluation = COCOeval(annotated, detected, "bbox")
            evaluation.params.imgIds = list(images.values())
            evaluation.params.catIds = list(categories.values())
            evaluation.params.maxDets = list(self.proposal_nums)
            if self.iou_thrs is not None:
                evaluation.params.iouThrs = np.atleast_1d(np.array(self.iou_thrs, float))
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _summarize(self, evaluation: Any) -> dict[str, float]:
        """Return the metrics in the order of pycocotools' summary."""
        precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
        recall = evaluation.eval["recall"]  # (IoU, class, area, detections)
        metrics = {"mAP": mean_of(precision[..., 0, -1])}
        for name, threshold in (("mAP_50", 0.5), ("mAP_75", 0.75)):
            chosen = np.isclose(evaluation.params.iouThrs, threshold)
            if chosen.any():
                metrics[name] = mean_of(precision[chosen, ..., 0, -1])
        for area in (1, 2, 3):
            metrics[f"mAP{_AREAS[area]}"] = mean_of(precision[..., area, -1])
        for index, limit in enumerate(self.proposal_nums):
            metrics[f"AR@{limit}"] = mean_of(recall[..., 0, index])
        for area in (1, 2, 3):
            key = f"AR{_AREAS[area]}@{self.proposal_nums[-1]}"
            metrics[key] = mean_of(recall[..., area, -1])
        return metrics

    def _by_group(self, evaluation: Any) -> dict[str, float]:
        """Return the mean AP over the classes of each group."""
        precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
        category_names = self.ground_truth.category_names()
        names = [category_names[category_id] for category_id in self.ground_truth.evaluated_ids]
        half = np.isclose(evaluation.params.iouThrs, 0.5)
        metrics = {}
        for group, members in self._groups.items():
            indices = [index for index, name in enumerate(names) if name in members]
            metrics[f"mAP_{group}"] = mean_of(precision[:, :, indices, 0, -1])
            if half.any():
                metrics[f"mAP_50_{group}"] = mean_of(precision[half][:, :, indices, 0, -1])
        return metrics

    def _by_class(self, evaluation: Any) -> dict[str, float]:
        """Return each class's AP and log a table."""
        precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
        thresholds = evaluation.params.iouThrs
        names = self.ground_truth.category_names()
        rows: list[list] = []
        metrics: dict[str, float] = {}
        for index, category_id in enumerate(self.ground_truth.evaluated_ids):
            of_class = precision[:, :, index]  # (IoU, recall, area, detections)
            parts = [of_class[..., 0, -1]]
            parts += [of_class[np.isclose(thresholds, each), :, 0, -1] for each in (0.5, 0.75)]
            parts += [of_class[..., area, -1] for area in (1, 2, 3)]
            values = [mean_of(part) for part in parts]
            name = names[category_id]
            rows.append([name, *values])
            metrics[f"{name}_precision"] = float("nan") if values[0] == -1 else values[0]
        log_table(["category", *(f"mAP{each}" for each in ("", "_50", "_75", *_AREAS[1:]))], rows)
        return metrics


def _coco_results(
    ground_truth: GroundTruth, images: Mapping[Any, Predictions]
) -> list[dict[str, Any]]:
    """Return the detections of all images in COCO's result format."""
    ids = ground_truth.category_ids
    return [row for img_id, found in images.items() for row in to_coco_results(img_id, found, ids)]


def _numbered(
    row: Mapping[str, Any], images: Mapping[Any, int], categories: Mapping[Any, int], **others: Any
) -> dict[str, Any]:
    """Return an annotation or a detection with numbers for its image and category."""
    numbers = dict(
        image_id=images[row["image_id"]], category_id=categories[row["category_id"]], **others
    )
    return {**row, **numbers}


def _metric_names(proposal_nums: Sequence[int]) -> list[str]:
    precisions = ["mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"]
    recalls = [f"AR@{limit}" for limit in proposal_nums]
    return [*precisions, *recalls, *(f"AR{area}@{proposal_nums[-1]}" for area in _AREAS[1:])]
