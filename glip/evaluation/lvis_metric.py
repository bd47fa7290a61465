"""Average precision on LVIS: the standard protocol, and fixed AP, which GLIP reports."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glip.datasets.annotation_values import id_order
from glip.evaluation.base_ap_metric import BaseAPMetric, ClassCurves, mean_of, write_results
from glip.evaluation.base_metric import ImageResult, check_metric
from glip.evaluation.federated import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    RECALLS,
    Boxes,
    FederatedGroundTruth,
    PrecisionRecall,
    evaluate,
)
from glip.evaluation.ground_truth import GroundTruth, check_labels
from glip.evaluation.predictions import Predictions
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileError, DataError
from glip.utils.messages import shorten
from glip.utils.tables import log_table

#: Rare, common and frequent categories.
_FREQUENCIES = ("r", "c", "f")
#: The metrics of LVIS, in the order of the lvis package.
_KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR", "ARs", "ARm", "ARl")


class _BaseLVISMetric(BaseAPMetric):
    """AP over federated annotations; a subclass chooses the detections that count."""

    same_order = True  # some copies of LVIS have cleaned category names

    @abstractmethod
    def select(self, detections: Boxes) -> Boxes:
        """Return the detections that count in the protocol, in the given order.

        Args:
            detections: the detections in all images, by image.
        """

    @abstractmethod
    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the metrics of the protocol under their names.

        Args:
            metrics: all metrics of LVIS by :data:`_KEYS`.
        """

    def load_annotations(self, meta: dict) -> GroundTruth:
        """Read the annotation file and check that its annotations are federated."""
        ground_truth = super().load_annotations(meta)
        for image in ground_truth.file.images:
            if "neg_category_ids" not in image or "not_exhaustive_category_ids" not in image:
                raise AnnotationFileError(
                    f"'{ground_truth.file.path}' is not in LVIS's format: image "
                    f"{shorten(image['id'])} has "
                    "no 'neg_category_ids' or no 'not_exhaustive_category_ids'. For annotations in "
                    "COCO's format use CocoMetric."
                )
        categories = [each["name"] for each in ground_truth.file.categories]
        known = {each["name"] for each in ground_truth.file.categories if _has_frequency(each)}
        if len(known) < len(categories):
            unknown = next(name for name in categories if name not in known)
            self.warn(
                f"{len(categories) - len(known)} of {len(categories)} categories of "
                f"'{ground_truth.file.path}' have no 'frequency' r, c or f, for example "
                f"{shorten(unknown)}: they do not count in the AP of rare, common and frequent "
                "categories"
            )
        return ground_truth

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute and log the metrics."""
        images = self.unique_images(results)
        img_ids = self.evaluated_image_ids(images)
        detections = self.select(_join_detections(self.ground_truth, images, img_ids))
        if self.outfile_prefix is not None:
            rows = _to_coco_results(detections, img_ids, self.ground_truth.evaluated_ids)
            write_results(rows, self.outfile_prefix)
        if self.format_only:
            return {}
        measured = evaluate(_federate(self.ground_truth, img_ids), detections)
        metrics = self.report(_summarize(measured, _frequency_groups(self.ground_truth)))
        log_table(["bbox", ""], [[key, value] for key, value in metrics.items()])
        return {**metrics, **(self._by_class(measured) if self.classwise else {})}

    def compute_ap(
        self, ground_truth: GroundTruth, images: Mapping[Any, Predictions]
    ) -> dict[str, float]:
        """Compute the metrics without logging."""
        img_ids = sorted(images, key=id_order)
        detections = self.select(_join_detections(ground_truth, images, img_ids))
        measured = evaluate(_federate(ground_truth, img_ids), detections)
        return _summarize(measured, _frequency_groups(ground_truth))

    def compute_curves(self, images: Mapping[Any, Predictions]) -> ClassCurves:
        """Compute precision and recall of each class over objects of all sizes."""
        img_ids = self.evaluated_image_ids(images)
        detections = self.select(_join_detections(self.ground_truth, images, img_ids))
        measured = evaluate(_federate(self.ground_truth, img_ids), detections)
        return self.make_curves(
            img_ids, IOU_THRESHOLDS, RECALLS, measured.precision[..., 0], measured.recall[..., 0]
        )

    def _by_class(self, measured: PrecisionRecall) -> dict[str, float]:
        """Return each class's AP and log a table."""
        names = self.ground_truth.category_names()
        rows, metrics = [], {}
        for index, category_id in enumerate(self.ground_truth.evaluated_ids):
            value = mean_of(measured.precision[:, :, index, 0])
            rows.append([names[category_id], value])
            metrics[f"{names[category_id]}_precision"] = float("nan") if value == -1 else value
        log_table(["category", "AP"], rows)
        return metrics


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class LVISMetric(_BaseLVISMetric):
    """Standard AP on LVIS: the best 300 detections of each image count.

    ``bbox_AP``, ``bbox_AP50``, ``bbox_AP75``, ``bbox_APs``, ``APm``, ``APl`` (small, medium, large
    objects), ``bbox_APr``, ``APc``, ``APf`` (rare, common, frequent categories), ``bbox_AR@300``,
    ``ARs@300``, ``ARm@300`` and ``ARl@300``: fractions from 0 to 1, -1 where there is nothing to
    measure, equal to those of the ``lvis`` package, which need not be installed.

    Args:
        metric: ``'bbox'``.
        max_dets: how many detections of an image count.
        metric_items: the metrics to return, for example ``['AP', 'APr']``; by default all.

    The other arguments are those of :class:`~glip.evaluation.base_ap_metric.BaseAPMetric`; the
    annotation file is in LVIS's format.

    Raises:
        DataError: an argument is invalid.
        glip.utils.errors.AnnotationFileError: the annotation file does not exist, is invalid, or
            does not have the classes.
    """

    default_prefix = "lvis"

    metric: str | Sequence[str] = "bbox"
    max_dets: int = 300
    metric_items: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_metric(self.metric)
        self._names = [key + f"@{self.max_dets}" * key.startswith("AR") for key in _KEYS]
        unknown = [item for item in self.metric_items or () if item not in self._names]
        if unknown:
            raise DataError(f"metric_items has {unknown}; expected some of {self._names}.")

    def select(self, detections: Boxes) -> Boxes:
        """Return the ``max_dets`` best detections of each image."""
        return detections[_best_per_group(detections.image, detections.score, self.max_dets)]

    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the ``metric_items``."""
        items = self.metric_items if self.metric_items is not None else self._names
        by_name = dict(zip(self._names, metrics.values(), strict=True))
        return {f"bbox_{name}": by_name[name] for name in items}


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class LVISFixedAPMetric(_BaseLVISMetric):
    """Fixed AP on LVIS: the best 10,000 detections of each class over the data set count.

    With a limit per image, the classes compete for places in it, and AP rewards scores that are
    comparable between classes. Dave, Dollár, Ramanan, Kirillov and Girshick, "Evaluating
    Large-Vocabulary Object Detectors: The Devil is in the Details" (2021, arXiv:2102.01066),
    propose a limit per class instead; MDETR and GLIP report it. There is no limit per image, except
    the model's ``max_per_img``: 300 in GLIP's protocol.

    ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` (small, medium, large objects), ``APr``,
    ``APc``, ``APf`` (rare, common, frequent categories): fractions from 0 to 1, -1 where there is
    nothing to measure. Among equal scores, images with lower ids come first.

    Args:
        topk: how many detections of a class count.

    The other arguments are those of :class:`~glip.evaluation.base_ap_metric.BaseAPMetric`; the
    annotation file is in LVIS's format.

    Raises:
        glip.utils.errors.AnnotationFileError: the annotation file does not exist, is invalid, or
            does not have the classes.
    """

    default_prefix = "lvis_fixed_ap"

    topk: int = 10000

    def select(self, detections: Boxes) -> Boxes:
        """Return the ``topk`` best detections of each class."""
        return detections[_best_per_group(detections.category, detections.score, self.topk)]

    def report(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the precisions."""
        return {key: value for key, value in metrics.items() if key.startswith("AP")}


def _best_per_group(group: np.ndarray, score: np.ndarray, limit: int) -> np.ndarray:
    """Return the ascending indices of the ``limit`` best scores of each group.

    Args:
        group: (N,) int.
        score: (N,) float; of equal scores the first ones are better.
        limit: how many to keep.
    """
    order = np.lexsort((-score, group))
    ordered = group[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.sort(order[rank < limit])


def _join_detections(
    ground_truth: GroundTruth, images: Mapping[Any, Predictions], img_ids: list[Any]
) -> Boxes:
    """Join the detections of all images, in the order of ``img_ids``.

    Args:
        ground_truth: the classes; detections of classes that the file lacks are dropped.
        images: the detections by image id.
        img_ids: the I images, in ascending order.
    """
    index_of = {number: index for index, number in enumerate(ground_truth.evaluated_ids)}
    by_label = np.array(
        [index_of.get(each, -1) for each in ground_truth.category_ids], dtype=np.int64
    )
    parts = [images[img_id] for img_id in img_ids]
    for part in parts:
        check_labels(part, len(by_label))
    image = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    category = by_label[np.concatenate([part.labels for part in parts] or [np.zeros(0, int)])]
    xywh = np.concatenate([part.xywh for part in parts] or [np.zeros((0, 4))])
    score = np.concatenate([part.scores for part in parts] or [np.zeros(0)])
    area = xywh[:, 2] * xywh[:, 3]
    boxes = Boxes(image, category, xywh, area, score, np.zeros(len(image), dtype=bool))
    return boxes[category >= 0]


def _federate(ground_truth: GroundTruth, img_ids: list[Any]) -> FederatedGroundTruth:
    """Convert the annotations of some images to arrays."""
    index_of = {number: index for index, number in enumerate(ground_truth.evaluated_ids)}
    entries = {each["id"]: each for each in ground_truth.file.images}
    objects = []
    pairs: dict[str, list] = dict(neg_category_ids=[], not_exhaustive_category_ids=[])
    for image, img_id in enumerate(img_ids):
        for annotation in ground_truth.file.annotations[img_id]:
            if annotation["category_id"] in index_of:
                objects.append((image, index_of[annotation["category_id"]], annotation))
        for key, kept in pairs.items():
            kept.extend(
                (image, index_of[each]) for each in entries[img_id][key] if each in index_of
            )
    boxes = Boxes(
        image=np.array([image for image, _, _ in objects], dtype=np.int64),
        category=np.array([category for _, category, _ in objects], dtype=np.int64),
        xywh=np.array([each["bbox"] for _, _, each in objects], dtype=float).reshape(-1, 4),
        area=np.array([each["area"] for _, _, each in objects], dtype=float),
        score=np.zeros(len(objects)),
        ignore=np.array([bool(each.get("ignore")) for _, _, each in objects], dtype=bool),
    )
    negative, not_exhaustive = (
        np.array(kept, dtype=np.int64).reshape(-1, 2) for kept in pairs.values()
    )
    return FederatedGroundTruth(len(img_ids), len(index_of), boxes, negative, not_exhaustive)


def _has_frequency(category: dict[str, Any]) -> bool:
    return category.get("frequency") in ("r", "c", "f")


def _frequency_groups(ground_truth: GroundTruth) -> dict[str, list[int]]:
    """Return the indices of the rare, common and frequent categories."""
    frequency = {each["id"]: each.get("frequency") for each in ground_truth.file.categories}
    return {
        group: [
            index
            for index, number in enumerate(ground_truth.evaluated_ids)
            if frequency[number] == group
        ]
        for group in _FREQUENCIES
    }


def _summarize(measured: PrecisionRecall, groups: dict[str, list[int]]) -> dict[str, float]:
    """Return the metrics of LVIS by :data:`_KEYS`."""
    precision, recall = measured.precision, measured.recall  # (T, R, K, A), (T, K, A)
    values = [precision[..., 0]]
    values += [precision[np.isclose(IOU_THRESHOLDS, each)][..., 0] for each in (0.5, 0.75)]
    values += [precision[..., area] for area in range(1, len(AREA_RANGES))]
    values += [precision[:, :, groups[each], 0] for each in _FREQUENCIES]
    values += [recall[..., area] for area in range(len(AREA_RANGES))]
    return dict(zip(_KEYS, map(mean_of, values), strict=True))


def _to_coco_results(
    detections: Boxes, img_ids: list[Any], category_ids: list[Any]
) -> list[dict[str, Any]]:
    """Convert detections to COCO's result format."""
    columns = (each.tolist() for each in (detections.image, detections.category))
    boxes, scores = detections.xywh.tolist(), detections.score.tolist()
    return [
        dict(image_id=img_ids[image], category_id=category_ids[index], bbox=box, score=score)
        for image, index, box, score in zip(*columns, boxes, scores, strict=True)
    ]
