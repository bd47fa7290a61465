"""Match detections with annotated boxes: which detections of a class are right?

Shapes: G annotated boxes of a class in an image, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glip.classes.combining import iou

#: A detection is right if its IoU with the annotated box is this or more.
MIN_IOU = 0.5


@dataclass(frozen=True)
class ImageTruth:
    """The annotations of an image.

    Attributes:
        boxes: (G, 4), xyxy pixels, of all classes.
        labels: (G,), indices of the classes.
        crowd: (G,), bool: detections that match such a box count neither as right nor as wrong.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True)
class Outcomes:
    """The detections of a class in all images, by descending score.

    Attributes:
        scores: (K,).
        right: (K,), bool.
        images: (K,), index of the image.
        num_boxes: (images,), annotated boxes of the class in each image, without crowds.
    """

    scores: np.ndarray
    right: np.ndarray
    images: np.ndarray
    num_boxes: np.ndarray

    def __len__(self) -> int:
        """K."""
        return len(self.scores)

    def of_images(self, chosen: np.ndarray) -> Outcomes:
        """Return the outcomes of some images, given as a bool per image."""
        own = chosen[self.images]
        return Outcomes(
            self.scores[own],
            self.right[own],
            self.images[own],
            np.where(chosen, self.num_boxes, 0),
        )


def match(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Match detections with annotated boxes as COCO does.

    By descending score each detection takes the box of the largest IoU that is not taken, of those
    with at least :data:`MIN_IOU`. One that takes none may match a crowd: then the IoU is the
    fraction of the detection that is in it, and it does not count.

    Args:
        boxes: (K, 4), by descending score.
        truth: (G, 4).
        crowd: (G,), bool.

    Returns:
        (K,) int: 1 for right, 0 for wrong, -1 for not counted.
    """
    result = np.zeros(len(boxes), dtype=np.int64)
    objects, crowds = truth[~crowd], truth[crowd]
    overlaps = iou(boxes, objects)
    free = np.ones(len(objects), dtype=bool)
    for at in range(len(boxes)):
        own = np.where(free, overlaps[at], -1.0)
        if len(own) and own.max() >= MIN_IOU:
            free[own.argmax()] = False
            result[at] = 1
        elif len(crowds) and _inside(boxes[at], crowds).max() >= MIN_IOU:
            result[at] = -1
    return result


def _inside(box: np.ndarray, crowds: np.ndarray) -> np.ndarray:
    """Return the fraction of a box that is in each crowd."""
    low, high = np.maximum(box[:2], crowds[:, :2]), np.minimum(box[2:], crowds[:, 2:])
    area = max(float(np.clip(box[2:] - box[:2], 0, None).prod()), 1e-9)
    return np.clip(high - low, 0, None).prod(axis=1) / area


def outcomes_of(
    found: Sequence[tuple[np.ndarray, np.ndarray]], truths: Sequence[ImageTruth], label: int
) -> Outcomes:
    """Match the detections of a class in all images.

    Args:
        found: for each image boxes (K, 4) and scores (K,) of the class, best first.
        truths: the annotations of each image.
        label: index of the class.
    """
    scores, right, images, counts = [], [], [], []
    for number, ((boxes, own), truth) in enumerate(zip(found, truths, strict=True)):
        mine = truth.labels == label
        result = match(boxes, truth.boxes[mine], truth.crowd[mine])
        counted = result >= 0
        scores.append(own[counted])
        right.append(result[counted] == 1)
        images.append(np.full(int(counted.sum()), number))
        counts.append(int((mine & ~truth.crowd).sum()))
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    return Outcomes(
        joined[order],
        np.concatenate(right)[order],
        np.concatenate(images)[order].astype(np.int64),
        np.asarray(counts, dtype=np.int64),
    )
