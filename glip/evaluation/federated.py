"""Average precision over federated annotations, as LVIS defines it.

In LVIS (Gupta, Dollár and Girshick 2019, arXiv:1908.03195) no image is annotated for all 1203
categories. An image lists the categories that are annotated in it, those that are verified to be
absent (``neg_category_ids``), and those whose annotation is not exhaustive
(``not_exhaustive_category_ids``). A detection counts only if its category is annotated or verified
to be absent; an unmatched detection of a category that is not exhaustively annotated is ignored.

The metrics equal those of the ``lvis`` package's ``LVISEval``, which drops zero-area objects and
detections. The evaluation goes category by category over arrays: the package's Python objects for
every pair of image and category need far more time and memory on 20,000 images.

Letters: G annotated objects, N detections, T IoU thresholds, R recalls, A area ranges,
K categories, I images. Images and categories are indexed in ascending order of id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
#: The smallest and the largest area of each range in square pixels, both inclusive (as in COCO).
AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
_LOW, _HIGH = np.array(list(AREA_RANGES.values())).T[:, :, None]  # (A, 1) each


@dataclass(frozen=True)
class Boxes:
    """Annotated objects or detections of many images.

    Attributes:
        image: (N,) index of the image.
        category: (N,) index of the category.
        xywh: (N, 4) float64, pixels.
        area: (N,) float64, square pixels; of an object the annotated area (its mask's).
        score: (N,) float64; unused for objects.
        ignore: (N,) bool, objects to ignore; unused for detections.
    """

    image: np.ndarray
    category: np.ndarray
    xywh: np.ndarray
    area: np.ndarray
    score: np.ndarray
    ignore: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: np.ndarray | slice) -> Boxes:
        return Boxes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class FederatedGroundTruth:
    """Federated annotations as arrays.

    Attributes:
        num_images: I.
        num_categories: K.
        objects: the G annotated objects.
        negative: (n, 2) pairs of an image and a category that is verified to be absent.
        not_exhaustive: (m, 2) pairs of an image and a category that is not exhaustively annotated.
    """

    num_images: int
    num_categories: int
    objects: Boxes
    negative: np.ndarray
    not_exhaustive: np.ndarray

    def key(self, image: np.ndarray, category: np.ndarray) -> np.ndarray:
        """Return one index for each pair of image and category, sorted by category, then image."""
        return category * self.num_images + image


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall; -1 where there is nothing to measure.

    Attributes:
        precision: (T, R, K, A) interpolated precision.
        recall: (T, K, A) recall over all detections.
    """

    precision: np.ndarray
    recall: np.ndarray


def evaluate(ground_truth: FederatedGroundTruth, detections: Boxes) -> PrecisionRecall:
    """Compute precision and recall.

    Args:
        ground_truth: the annotations.
        detections: in any order. Equal scores of a category are ranked by image, then in the given
            order.
    """
    objects = ground_truth.objects[ground_truth.objects.area > 0]
    objects = objects[np.argsort(ground_truth.key(objects.image, objects.category), kind="stable")]
    detections = _filter_detections(ground_truth, objects, detections)
    not_exhaustive_keys = ground_truth.key(*ground_truth.not_exhaustive.T)

    shape = (len(IOU_THRESHOLDS), len(RECALLS), ground_truth.num_categories, len(AREA_RANGES))
    precision = -np.ones(shape)
    recall = -np.ones((shape[0], *shape[2:]))
    for category, own_objects, own_detections in _categories(ground_truth, objects, detections):
        ignored_objects = _out_of_range(own_objects.area) | own_objects.ignore
        num_objects = (~ignored_objects).sum(axis=1)  # (A,)
        if not num_objects.any():
            continue
        matched, ignored = _match_category(own_objects, ignored_objects, own_detections)
        keys = ground_truth.key(own_detections.image, own_detections.category)
        not_exhaustive = np.isin(keys, not_exhaustive_keys)
        outside = _out_of_range(own_detections.area) | not_exhaustive  # (A, N)
        ignored |= ~matched & outside[:, None]
        order = np.argsort(-own_detections.score, kind="stable")
        for area in np.flatnonzero(num_objects):
            hits, skipped = matched[area][:, order], ignored[area][:, order]
            curve, reached = _curve(hits & ~skipped, ~hits & ~skipped, int(num_objects[area]))
            precision[:, :, category, area] = curve
            recall[:, category, area] = reached
    return PrecisionRecall(precision, recall)


def match(ious: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of an image with its objects of one category, best score first.

    A detection matches the unmatched object with the highest IoU, at least the threshold (the last
    one of equals). It matches an ignored object only if there is no other.

    Args:
        ious: (N, G), detections by descending score.
        ignored: (A, G) bool, the ignored objects.

    Returns:
        Two arrays (A, T, N) bool: whether a detection is matched, and whether with an ignored
        object.
    """
    num_areas, num_objects = ignored.shape
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    free = np.ones((num_areas, len(thresholds), num_objects), dtype=bool)
    matched = np.zeros((num_areas, len(thresholds), len(ious)), dtype=bool)
    to_ignored = np.zeros_like(matched)
    areas, levels = np.indices(free.shape[:2])
    for at in np.flatnonzero(ious.max(axis=1) >= thresholds[0]):
        fits = free & (ious[at] >= thresholds[:, None])  # (A, T, G)
        regular = fits & ~ignored[:, None]
        choice = np.where(regular.any(axis=2, keepdims=True), regular, fits)
        value = np.where(choice, ious[at], -1.0)
        best = num_objects - 1 - value[..., ::-1].argmax(axis=2)  # (A, T)
        found = choice.any(axis=2)
        matched[..., at] = found
        to_ignored[..., at] = found & ignored[areas, best]
        free[areas[found], levels[found], best[found]] = False
    return matched, to_ignored


def _filter_detections(
    ground_truth: FederatedGroundTruth, objects: Boxes, detections: Boxes
) -> Boxes:
    """Keep the detections that count, sorted by category, image and descending score."""
    known = np.union1d(
        ground_truth.key(objects.image, objects.category),
        ground_truth.key(*ground_truth.negative.T),
    )
    keys = ground_truth.key(detections.image, detections.category)
    kept = np.flatnonzero(np.isin(keys, known) & (detections.area > 0))
    order = np.lexsort((-detections.score[kept], keys[kept]))
    return detections[kept[order]]


def _categories(
    ground_truth: FederatedGroundTruth, objects: Boxes, detections: Boxes
) -> Iterator[tuple[int, Boxes, Boxes]]:
    """Yield each category with its objects and detections; both are sorted by category."""
    edges = np.arange(ground_truth.num_categories + 1)
    object_edges = np.searchsorted(objects.category, edges)
    detection_edges = np.searchsorted(detections.category, edges)
    for category in range(ground_truth.num_categories):
        yield (
            category,
            objects[object_edges[category] : object_edges[category + 1]],
            detections[detection_edges[category] : detection_edges[category + 1]],
        )


def _match_category(
    objects: Boxes, ignored: np.ndarray, detections: Boxes
) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of a category image by image; both are sorted by image.

    Args:
        objects: G objects.
        ignored: (A, G) bool, the ignored objects.
        detections: N detections.

    Returns:
        Two arrays (A, T, N) bool: whether a detection is matched, and whether with an ignored
        object.
    """
    from pycocotools import mask

    matched = np.zeros((len(ignored), len(IOU_THRESHOLDS), len(detections)), dtype=bool)
    to_ignored = np.zeros_like(matched)
    for image in np.intersect1d(objects.image, detections.image):
        own = slice(*np.searchsorted(objects.image, (image, image + 1)))
        found = slice(*np.searchsorted(detections.image, (image, image + 1)))
        boxes = objects.xywh[own]
        ious = mask.iou(detections.xywh[found], boxes, np.zeros(len(boxes), dtype=np.uint8))
        matched[..., found], to_ignored[..., found] = match(ious, ignored[:, own])
    return matched, to_ignored


def _curve(hits: np.ndarray, misses: np.ndarray, num_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute precision and recall of one category and area range.

    Args:
        hits: (T, N) bool, true positives by descending score.
        misses: (T, N) bool, false positives.
        num_objects: number of objects that are not ignored, at least 1.

    Returns:
        (T, R) precision, at each recall the maximum at that recall or above, and (T,) recall.
    """
    curve = np.zeros((len(hits), len(RECALLS)))
    if hits.shape[1] == 0:
        return curve, np.zeros(len(hits))
    true = np.cumsum(hits, axis=1).astype(float)
    false = np.cumsum(misses, axis=1).astype(float)
    recall = true / num_objects
    precision = true / (false + true + np.spacing(1))
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    for level in range(len(hits)):
        at = np.searchsorted(recall[level], RECALLS, side="left")
        reached = at < hits.shape[1]
        curve[level, reached] = precision[level, at[reached]]
    return curve, recall[:, -1]


def _out_of_range(area: np.ndarray) -> np.ndarray:
    """Return (A, N) bool, whether each area of (N,) is outside each range."""
    return (area < _LOW) | (area > _HIGH)
