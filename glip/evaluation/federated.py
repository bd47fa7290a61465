"""Average precision over federated annotations, as LVIS defines it.

In LVIS no image is searched for all 1203 categories. An image tells of three kinds of categories:
those annotated in it, those certainly absent (``neg_category_ids``), and those of which some
objects may be unmarked (``not_exhaustive_category_ids``). A detection counts only where its
category is of the first two kinds; an unmatched one of the third kind is ignored.

The numbers equal those of the ``lvis`` package's ``LVISEval``, including that objects and
detections without area do not exist for it. The work is done category by category, on arrays.

Letters: G annotated objects, N detections, T IoU thresholds, R recalls, A ranges of areas,
K categories, I images. Images and categories are numbered by their place in rising order of id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
#: Name -> smallest and largest area in square pixels, both included.
AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
_LOW, _HIGH = np.array(list(AREA_RANGES.values())).T[:, :, None]  # (A, 1) each


@dataclass(frozen=True)
class Boxes:
    """Objects or detections of many images.

    Attributes:
        image: (N,) number of the image.
        category: (N,) number of the category.
        xywh: (N, 4) float64, pixels.
        area: (N,) float64, square pixels; of objects as annotated (the mask's).
        score: (N,) float64; of objects unused.
        ignore: (N,) bool, objects that neither reward nor punish; of detections unused.
    """

    image: np.ndarray
    category: np.ndarray
    xywh: np.ndarray
    area: np.ndarray
    score: np.ndarray
    ignore: np.ndarray

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, chosen: np.ndarray | slice) -> Boxes:
        return Boxes(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class FederatedTruth:
    """Federated annotations.

    Attributes:
        num_images: I.
        num_categories: K.
        objects: the G annotated objects.
        negative: (n, 2) pairs of image and category that is certainly absent from it.
        not_exhaustive: (m, 2) pairs of image and category with unmarked objects.
    """

    num_images: int
    num_categories: int
    objects: Boxes
    negative: np.ndarray
    not_exhaustive: np.ndarray

    def key(self, image: np.ndarray, category: np.ndarray) -> np.ndarray:
        """Number the pairs of image and category, categories first."""
        return category * self.num_images + image


@dataclass(frozen=True)
class PrecisionRecall:
    """What is measured; -1 where there is nothing to measure.

    Attributes:
        precision: (T, R, K, A) interpolated precision.
        recall: (T, K, A) recall over all detections.
    """

    precision: np.ndarray
    recall: np.ndarray


def evaluate(truth: FederatedTruth, detections: Boxes) -> PrecisionRecall:
    """Measure precision and recall.

    Args:
        truth: the annotations.
        detections: in any order; among equal scores of a category the images go in order, and
            within an image the detections as given.
    """
    objects = truth.objects[truth.objects.area > 0]
    objects = objects[_by_key(truth.key(objects.image, objects.category))]
    detections = _countable(truth, objects, detections)
    open_keys = truth.key(*truth.not_exhaustive.T)

    shape = (len(IOU_THRESHOLDS), len(RECALLS), truth.num_categories, len(AREA_RANGES))
    precision = -np.ones(shape)
    recall = -np.ones((shape[0], *shape[2:]))
    for category, its_objects, its_detections in _categories(truth, objects, detections):
        counted = _out_of_range(its_objects.area) | its_objects.ignore
        num_objects = (~counted).sum(axis=1)  # (A,)
        if not num_objects.any():
            continue
        matched, ignored = _match_category(its_objects, counted, its_detections)
        is_open = np.isin(truth.key(its_detections.image, its_detections.category), open_keys)
        outside = _out_of_range(its_detections.area) | is_open  # (A, N)
        ignored |= ~matched & outside[:, None]
        order = np.argsort(-its_detections.score, kind="stable")
        for area in np.flatnonzero(num_objects):
            hits, skipped = matched[area][:, order], ignored[area][:, order]
            curve, reached = _curve(hits & ~skipped, ~hits & ~skipped, int(num_objects[area]))
            precision[:, :, category, area] = curve
            recall[:, category, area] = reached
    return PrecisionRecall(precision, recall)


def match(ious: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of an image to its objects of one category, best score first.

    A detection takes the free object with the highest IoU not below the threshold (the last of
    equals), objects that are to be ignored only if no other will do.

    Args:
        ious: (N, G), detections by falling score.
        ignored: (A, G) bool, the objects to ignore.

    Returns:
        (A, T, N) bool, whether a detection is matched, and whether to an object that is ignored.
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


def _countable(truth: FederatedTruth, objects: Boxes, detections: Boxes) -> Boxes:
    """Keep the detections that can count, by category, then image, then falling score."""
    known = np.union1d(truth.key(objects.image, objects.category), truth.key(*truth.negative.T))
    keys = truth.key(detections.image, detections.category)
    kept = np.flatnonzero(np.isin(keys, known) & (detections.area > 0))
    order = np.lexsort((-detections.score[kept], keys[kept]))
    return detections[kept[order]]


def _by_key(keys: np.ndarray) -> np.ndarray:
    return np.argsort(keys, kind="stable")


def _categories(
    truth: FederatedTruth, objects: Boxes, detections: Boxes
) -> Iterator[tuple[int, Boxes, Boxes]]:
    """Yield each category with its objects and detections; both are sorted by category."""
    edges = np.arange(truth.num_categories + 1)
    object_edges = np.searchsorted(objects.category, edges)
    detection_edges = np.searchsorted(detections.category, edges)
    for category in range(truth.num_categories):
        yield (
            category,
            objects[object_edges[category] : object_edges[category + 1]],
            detections[detection_edges[category] : detection_edges[category + 1]],
        )


def _match_category(
    objects: Boxes, ignored: np.ndarray, detections: Boxes
) -> tuple[np.ndarray, np.ndarray]:
    """Match the detections of a category, image by image; both come sorted by image.

    Args:
        objects: G objects.
        ignored: (A, G) bool, those to ignore.
        detections: N detections.

    Returns:
        (A, T, N) bool, whether a detection is matched, and whether to an object that is ignored.
    """
    from pycocotools import mask

    matched = np.zeros((len(ignored), len(IOU_THRESHOLDS), len(detections)), dtype=bool)
    to_ignored = np.zeros_like(matched)
    for image in np.intersect1d(objects.image, detections.image):
        own = slice(*np.searchsorted(objects.image, (image, image + 1)))
        found = slice(*np.searchsorted(detections.image, (image, image + 1)))
        truths = objects.xywh[own]
        ious = mask.iou(detections.xywh[found], truths, np.zeros(len(truths), dtype=np.uint8))
        matched[..., found], to_ignored[..., found] = match(ious, ignored[:, own])
    return matched, to_ignored


def _curve(hits: np.ndarray, misses: np.ndarray, num_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Measure one category and range of areas.

    Args:
        hits: (T, N) bool, true positives by falling score.
        misses: (T, N) bool, false positives.
        num_objects: how many objects there are to find, at least 1.

    Returns:
        (T, R) precision, at each recall the best of that recall and beyond, and (T,) recall.
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
    """(N,) areas -> (A, N) bool, whether each is outside each range."""
    return (area < _LOW) | (area > _HIGH)
