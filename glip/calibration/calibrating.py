"""Calibrate the classes of a file on labelled images.

Shapes: C classes, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glip.calibration.matching import ImageTruth, Outcomes, outcomes_of
from glip.calibration.score_maps import Reliability, cross_predict, fit, reliability
from glip.calibration.thresholds import (
    Measures,
    Threshold,
    bootstrap,
    choose,
    cross_validate,
    measure,
)
from glip.classes.calibration import Calibration, ScoreMap
from glip.classes.class_file import ClassFile
from glip.classes.results import ClassResult, PhraseDetections, apply_classes

#: A class with fewer annotated boxes is not calibrated.
MIN_BOXES = 5
#: A class with fewer annotated boxes, or images without it, gets a warning.
FEW_BOXES = 30
FEW_IMAGES = 10
#: Folds of the images for figures on images that nothing was fitted on.
NUM_FOLDS = 5


@dataclass(frozen=True)
class LabelledImages:
    """What was detected in the labelled images, and what is in them.

    Attributes:
        names: file names.
        found: the detections of the class file's phrases in each image.
        truths: the annotations of each image.
    """

    names: Sequence[str]
    found: Sequence[PhraseDetections]
    truths: Sequence[ImageTruth]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)


@dataclass(frozen=True)
class ClassCalibration:
    """The calibration of a class.

    Attributes:
        name: of the class.
        outcomes: its matched detections before any threshold.
        before: measures at the threshold before the calibration.
        old_threshold: that threshold.
        threshold: the chosen one; ``None`` if the class is not calibrated.
        intervals: bootstrap intervals, see :func:`glip.calibration.thresholds.bootstrap`.
        held_out: measures on images that the threshold was not chosen on.
        score_map: from scores to probabilities.
        presence_map: from the presence to the probability that the class is in the image.
        predicted: (K,), the probability of each detection by a function of the other folds.
        warnings: what to know before trusting it.
    """

    name: str
    outcomes: Outcomes
    before: Measures
    old_threshold: float
    threshold: Threshold | None = None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    held_out: Measures | None = None
    score_map: ScoreMap | None = None
    presence_map: ScoreMap | None = None
    predicted: np.ndarray | None = None
    warnings: tuple[str, ...] = ()

    @property
    def num_boxes(self) -> int:
        """Annotated boxes of the class."""
        return int(self.outcomes.num_boxes.sum())

    @property
    def num_images(self) -> int:
        """Images that have the class."""
        return int((self.outcomes.num_boxes > 0).sum())


def calibrate(
    classes: ClassFile,
    images: LabelledImages,
    old_thresholds: Sequence[float],
    *,
    precision: float | None = None,
    seed: int = 0,
) -> list[ClassCalibration]:
    """Calibrate every class.

    Args:
        classes: the classes.
        images: the labelled images.
        old_thresholds: threshold of each class before.
        precision: choose the lowest threshold of this precision; ``None`` for the best F1.
        seed: of the folds and of the resampling; equal seeds give equal results.
    """
    rng = np.random.default_rng(seed)
    folds = rng.permutation(len(images)) % min(NUM_FOLDS, len(images))
    every = [0.0] * len(classes.classes)
    results = [apply_classes(classes, found, every) for found in images.found]
    return [
        _calibrate_class(classes, images, results, label, old, precision, folds, rng)
        for label, old in enumerate(old_thresholds)
    ]


def _calibrate_class(
    classes: ClassFile,
    images: LabelledImages,
    results: Sequence[ClassResult],
    label: int,
    old_threshold: float,
    precision: float | None,
    folds: np.ndarray,
    rng: np.random.Generator,
) -> ClassCalibration:
    found = [
        (result.kept.boxes[own], result.kept.scores[own])
        for result in results
        for own in [result.kept.labels == label]
    ]
    outcomes = outcomes_of(found, images.truths, label)
    before = measure(outcomes, old_threshold)
    plain = ClassCalibration(classes.names[label], outcomes, before, old_threshold)
    chosen = choose(outcomes, precision)
    if plain.num_boxes < MIN_BOXES or chosen is None:
        reason = f"{plain.num_boxes} annotated boxes, and {int(outcomes.right.sum())} of them found"
        warning = f"not calibrated: {reason} (at least {MIN_BOXES} and 1 are needed)"
        return replace(plain, warnings=(warning,))
    present = outcomes.num_boxes > 0
    presence = np.array([result.presence[label] for result in results])
    warnings = _warnings(plain, chosen, precision)
    return replace(
        plain,
        threshold=chosen,
        intervals=bootstrap(outcomes, precision, rng),
        held_out=cross_validate(outcomes, folds, precision),
        score_map=fit(outcomes.scores, outcomes.right),
        presence_map=None if present.all() else fit(presence, present),
        predicted=cross_predict(outcomes.scores, outcomes.right, folds[outcomes.images]),
        warnings=tuple(warnings),
    )


def _warnings(each: ClassCalibration, chosen: Threshold, precision: float | None) -> list[str]:
    warnings = []
    if each.num_boxes < FEW_BOXES:
        warnings.append(
            f"only {each.num_boxes} annotated boxes: the threshold is uncertain, see its interval"
        )
    absent = len(each.outcomes.num_boxes) - each.num_images
    if absent < FEW_IMAGES:
        warnings.append(
            f"only {absent} images without the class: add images in which it is absent, or false "
            "detections there are not seen"
        )
    if precision is not None and not chosen.reached:
        warnings.append(
            f"a precision of {precision:g} is not reached: the threshold is that of the highest, "
            f"{chosen.measures.precision:.2f}"
        )
    return warnings


def with_calibration(
    classes: ClassFile,
    calibrated: Sequence[ClassCalibration],
    binding: dict[str, str | int | float],
) -> ClassFile:
    """Return the class file with the thresholds and the functions of a calibration.

    A class that was not calibrated keeps its threshold.
    """
    maps = {each.name: each.score_map for each in calibrated if each.score_map is not None}
    presence = {each.name: each.presence_map for each in calibrated if each.presence_map}
    return replace(
        classes,
        classes=tuple(
            replace(one, threshold=each.threshold.value) if each.threshold else one
            for one, each in zip(classes.classes, calibrated, strict=True)
        ),
        calibration=Calibration(binding, maps, presence),
    )


def overall_reliability(
    calibrated: Sequence[ClassCalibration],
) -> tuple[Reliability, Reliability] | None:
    """Return how reliable raw scores and held-out probabilities are, over all classes."""
    parts = [each for each in calibrated if each.predicted is not None]
    if not parts:
        return None
    predicted = np.concatenate([each.predicted for each in parts if each.predicted is not None])
    scores = np.concatenate([each.outcomes.scores for each in parts])
    right = np.concatenate([each.outcomes.right for each in parts])
    known = np.isfinite(predicted)
    return reliability(scores[known], right[known]), reliability(predicted[known], right[known])
