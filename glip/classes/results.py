"""The result of a class file in one image: detections, their probabilities, and presence.

This is the one place where a class file is applied; ``glip detect``, ``glip label``, ``glip
calibrate`` and the functions of :mod:`glip.apis` call it.

Shapes: C classes, P phrases, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glip.classes.class_file import ClassFile, LabelClass, normalize
from glip.classes.combining import ClassDetections, apply_limits, combine_phrases

#: Decimals of scores and boxes: the results are those that can be read back from a file.
SCORE_DECIMALS = 4
BOX_DECIMALS = 2


@dataclass(frozen=True)
class PhraseDetections:
    """What the model finds of the phrases of a class file in an image.

    Attributes:
        boxes: (K, 4), xyxy pixels, in the image, hundredths.
        scores: (K,), 4 decimals.
        labels: (K,), indices of :attr:`ClassFile.phrases`.
        presence: (P,), the best score of each phrase, see
            :attr:`glip.structures.DetDataSample.presence`.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    presence: np.ndarray

    @classmethod
    def of_image(
        cls,
        boxes: np.ndarray,
        scores: np.ndarray,
        labels: np.ndarray,
        presence: np.ndarray,
        shape: tuple[int, int],
    ) -> PhraseDetections:
        """Clip the boxes to an image of (height, width) pixels, and round boxes and scores."""
        height, width = shape
        clipped = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        clipped = np.clip(clipped, 0, [width, height, width, height])
        return cls(
            clipped.round(BOX_DECIMALS),
            np.asarray(scores, dtype=np.float64).round(SCORE_DECIMALS),
            np.asarray(labels, dtype=np.int64),
            np.asarray(presence, dtype=np.float64).round(SCORE_DECIMALS),
        )


@dataclass(frozen=True)
class ClassResult:
    """What a class file finds in an image.

    Attributes:
        candidates: detections after the competition, before thresholds and limits.
        kept: those that pass them.
        presence: (C,), the best score of each class, see :func:`class_presence`.
    """

    candidates: ClassDetections
    kept: ClassDetections
    presence: np.ndarray


def apply_classes(
    classes: ClassFile, found: PhraseDetections, thresholds: Sequence[float]
) -> ClassResult:
    """Make the detections of classes from those of their phrases.

    Args:
        classes: the classes.
        found: the detections of their phrases in an image.
        thresholds: smallest score of each class, see :meth:`ClassFile.thresholds`.
    """
    candidates = combine_phrases(classes, found.boxes, found.scores, found.labels)
    kept = apply_limits(classes, candidates, thresholds)
    return ClassResult(candidates, kept, class_presence(classes, found, candidates))


def class_presence(
    classes: ClassFile, found: PhraseDetections, candidates: ClassDetections
) -> np.ndarray:
    """Return the best score of each class in an image, after the competition.

    It is the largest presence of the class's prompts, their mean with ``combine: mean``. If a
    competing phrase explains the best box of the class better, it is the score of the best box that
    remains, 0 if none does.

    Args:
        classes: the classes.
        found: the detections of their phrases.
        candidates: of :func:`glip.classes.combining.combine_phrases`, for the same phrases.

    Returns:
        (C,).
    """
    numbers = phrase_numbers(classes)
    presence = np.zeros(len(classes.classes))
    for label, each in enumerate(classes.classes):
        own = found.presence[[numbers[normalize(phrase)] for phrase in each.prompts]]
        presence[label] = own.mean() if each.combine == "mean" else own.max()
        if each.not_:
            best = max(candidates.scores[candidates.labels == label], default=0.0)
            alone = detect_class(classes, replace(each, not_=()), found)
            if best < max(alone.scores, default=0.0):
                presence[label] = best
    return presence


def detect_class(classes: ClassFile, each: LabelClass, found: PhraseDetections) -> ClassDetections:
    """Return the detections of one class before thresholds and limits; their label is 0.

    Args:
        classes: the classes whose phrases were detected.
        each: one of them, or with other prompts and competing phrases out of their phrases.
        found: the detections of the phrases.
    """
    alone = ClassFile((each,), nms=classes.nms)
    numbers = phrase_numbers(classes)
    labels = np.full(len(found.labels), -1)
    for at, phrase in enumerate(alone.phrases):
        labels[found.labels == numbers[normalize(phrase)]] = at
    own = labels >= 0
    return combine_phrases(alone, found.boxes[own], found.scores[own], labels[own])


def phrase_numbers(classes: ClassFile) -> dict[str, int]:
    """Return the label of each phrase, by its normalized text."""
    return {normalize(phrase): at for at, phrase in enumerate(classes.phrases)}


def probabilities(classes: ClassFile, kept: ClassDetections) -> list[float | None] | None:
    """Return the calibrated probability of each detection; ``None`` without a calibration.

    The detections of a class that has no function get ``None``.
    """
    if classes.calibration is None:
        return None
    maps, names = classes.calibration.probabilities, classes.names
    found: list[float | None] = []
    for score, label in zip(kept.scores.tolist(), kept.labels.tolist(), strict=True):
        own = maps.get(names[label])
        found.append(None if own is None else round(own(score), SCORE_DECIMALS))
    return found


def presence_probabilities(classes: ClassFile, presence: np.ndarray) -> list[float | None] | None:
    """Return for each class the probability that it is in the image; see :func:`probabilities`."""
    if classes.calibration is None:
        return None
    maps = classes.calibration.presence
    return [
        round(maps[name](score), SCORE_DECIMALS) if name in maps else None
        for name, score in zip(classes.names, presence.tolist(), strict=True)
    ]
