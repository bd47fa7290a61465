"""From the detections of phrases to those of classes: synonyms, competing phrases, limits.

Shapes: K detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glip.classes.class_file import ClassFile, LabelClass, normalize


@dataclass(frozen=True)
class ClassDetections:
    """Detections of classes in an image, best score first.

    Attributes:
        boxes: (K, 4), xyxy pixels.
        scores: (K,), raw.
        labels: (K,), indices of the classes.
        phrases: (K,), index in :attr:`ClassFile.phrases` of the phrase of the best box.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    phrases: np.ndarray

    def __len__(self) -> int:
        """K."""
        return len(self.scores)

    def __getitem__(self, index: np.ndarray) -> ClassDetections:
        """Return some of the detections."""
        return ClassDetections(
            self.boxes[index], self.scores[index], self.labels[index], self.phrases[index]
        )


def combine_phrases(
    classes: ClassFile, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray
) -> ClassDetections:
    """Combine the detections of phrases to those of classes, before thresholds and limits.

    Args:
        classes: the classes.
        boxes: (K, 4), xyxy pixels.
        scores: (K,).
        labels: (K,), indices in :attr:`ClassFile.phrases`.
    """
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    scores, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    phrases = {normalize(phrase): at for at, phrase in enumerate(classes.phrases)}
    parts = []
    for label, each in enumerate(classes.classes):
        own = np.flatnonzero(np.isin(labels, [phrases[normalize(p)] for p in each.prompts]))
        own = own[np.argsort(-scores[own], kind="stable")]
        found = ClassDetections(
            boxes[own], scores[own], np.full(len(own), label), labels[own].copy()
        )
        found = _combine(found, each, classes.nms)
        against = np.isin(labels, [phrases[normalize(p)] for p in each.not_])
        if len(found) and against.any():
            overlapping = iou(found.boxes, boxes[against]) > classes.nms
            rivals = np.where(overlapping, scores[against], 0).max(axis=1)
            found = found[rivals <= found.scores]
        parts.append(found)
    return _sorted(_concatenate(parts))


def apply_limits(
    classes: ClassFile, found: ClassDetections, thresholds: Sequence[float]
) -> ClassDetections:
    """Apply sizes, the NMS across classes, the maximum number per class, and thresholds.

    Thresholds come last: the detections above a threshold are those of a lower threshold without
    its tail. So a threshold that was chosen on the detections above 0 keeps what it was chosen on,
    whatever the thresholds of other classes are.

    Args:
        classes: the classes.
        found: of :func:`combine_phrases`.
        thresholds: smallest score of each class, see :meth:`ClassFile.thresholds`.
    """
    if not len(found):
        return found
    sides = np.clip(found.boxes[:, 2:] - found.boxes[:, :2], 0, None)
    sizes = np.sqrt(sides[:, 0] * sides[:, 1])
    low = np.array([each.min_size or 0.0 for each in classes.classes])
    high = np.array([each.max_size or np.inf for each in classes.classes])
    found = found[(sizes > 0) & (sizes >= low[found.labels]) & (sizes <= high[found.labels])]
    if classes.class_agnostic:
        found = found[nms(found.boxes, classes.nms)]
    kept = np.ones(len(found), dtype=bool)
    for label, each in enumerate(classes.classes):
        if each.max is not None:
            kept[np.flatnonzero(found.labels == label)[each.max :]] = False
    return found[kept & (found.scores >= np.asarray(thresholds)[found.labels])]


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the IoU (N, M) of boxes (N, 4) and (M, 4), continuous xyxy."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(each[:, 2:] - each[:, :2], 0, None).prod(axis=1) for each in (one, other)]
    union = areas[0][:, None] + areas[1][None] - common
    return common / np.where(union > 0, union, 1)


def nms(boxes: np.ndarray, threshold: float) -> np.ndarray:
    """Return the indices of the boxes to keep, of boxes by descending score."""
    overlaps = iou(boxes, boxes) > threshold
    keep: list[int] = []
    for at in range(len(boxes)):
        if not overlaps[at, keep].any():
            keep.append(at)
    return np.asarray(keep, dtype=np.int64)


def _combine(found: ClassDetections, each: LabelClass, threshold: float) -> ClassDetections:
    """Combine the boxes of a class's prompts, by descending score."""
    keep = nms(found.boxes, threshold)
    if each.combine == "nms" or len(each.prompts) == 1:
        return found[keep]
    overlaps = iou(found.boxes[keep], found.boxes) > threshold
    boxes, scores = found.boxes[keep].copy(), found.scores[keep].copy()
    for row, at in enumerate(keep):
        group = [at]  # the best box of each prompt, of those that overlap
        for other in np.flatnonzero(overlaps[row]):
            if found.phrases[other] not in found.phrases[group]:
                group.append(other)
        weights = found.scores[group]
        boxes[row] = (found.boxes[group] * weights[:, None]).sum(axis=0) / weights.sum()
        if each.combine == "mean":
            scores[row] = weights.sum() / len(each.prompts)
    return _sorted(ClassDetections(boxes, scores, found.labels[keep], found.phrases[keep]))


def _sorted(found: ClassDetections) -> ClassDetections:
    return found[np.argsort(-found.scores, kind="stable")]


def _concatenate(parts: Sequence[ClassDetections]) -> ClassDetections:
    return ClassDetections(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("boxes", "scores", "labels", "phrases")
        )
    )
