"""Choose the threshold of a class from matched detections, with bootstrap intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from glip.calibration.matching import Outcomes
from glip.classes.results import SCORE_DECIMALS

#: Resamples of the images for an interval, and its coverage.
NUM_RESAMPLES = 500
COVERAGE = 0.95


@dataclass(frozen=True)
class Measures:
    """Precision, recall and F1 at a threshold; 0 where there is nothing to measure."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Threshold:
    """A chosen threshold.

    Attributes:
        value: detections of this score or more are kept.
        measures: on the images that it was chosen on.
        reached: whether the wanted precision is reached; True for the best F1.
    """

    value: float
    measures: Measures
    reached: bool


def measure(outcomes: Outcomes, threshold: float) -> Measures:
    """Return precision, recall and F1 at a threshold."""
    kept = outcomes.scores >= threshold
    return _measures(
        int(outcomes.right[kept].sum()), int(kept.sum()), int(outcomes.num_boxes.sum())
    )


def curve(outcomes: Outcomes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct scores, descending, and precision and recall at each of them."""
    last = _last_of_ties(outcomes.scores)
    right = np.cumsum(outcomes.right)[last]
    total = max(int(outcomes.num_boxes.sum()), 1)
    return outcomes.scores[last], right / (last + 1), right / total


def choose(outcomes: Outcomes, precision: float | None) -> Threshold | None:
    """Choose the threshold of the best F1, or the lowest one of a wanted precision.

    It is placed halfway between the last detection that is kept and the next one.

    Args:
        outcomes: of the class; ``None`` is returned for a class without a right detection.
        precision: the wanted precision; ``None`` for the best F1. If it is not reached, the
            threshold of the highest precision is chosen.
    """
    if not outcomes.right.any():
        return None
    last = _last_of_ties(outcomes.scores)
    right = np.cumsum(outcomes.right)[last]
    at, reached = _best(right, last + 1, int(outcomes.num_boxes.sum()), precision)
    value = _halfway(outcomes.scores[last], at)
    return Threshold(value, measure(outcomes, value), reached)


def bootstrap(
    outcomes: Outcomes, precision: float | None, rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Return intervals of the threshold, and of precision and recall at the chosen threshold.

    The images are resampled with replacement; the interval is that of the percentiles.

    Returns:
        ``threshold``, ``precision`` and ``recall``: the lower and the upper limit.
    """
    chosen = choose(outcomes, precision)
    assert chosen is not None
    count = len(outcomes.num_boxes)
    kept = outcomes.scores >= chosen.value
    drawn: dict[str, list[float]] = {"threshold": [], "precision": [], "recall": []}
    for _ in range(NUM_RESAMPLES):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        weights, boxes = times[outcomes.images], int(times @ outcomes.num_boxes)
        if not (weights * outcomes.right).any():
            continue
        own = weights > 0
        last = _last_of_ties(outcomes.scores[own])
        right = np.cumsum((weights * outcomes.right)[own])[last]
        at, _ = _best(right, np.cumsum(weights[own])[last], boxes, precision)
        drawn["threshold"].append(_halfway(outcomes.scores[own][last], at))
        measures = _measures(
            int((weights * outcomes.right)[kept].sum()), int(weights[kept].sum()), boxes
        )
        drawn["precision"].append(measures.precision)
        drawn["recall"].append(measures.recall)
    tail = 100 * (1 - COVERAGE) / 2
    return {
        name: (float(np.percentile(values, tail)), float(np.percentile(values, 100 - tail)))
        for name, values in drawn.items()
    }


def cross_validate(outcomes: Outcomes, folds: np.ndarray, precision: float | None) -> Measures:
    """Return the measures on images that the threshold was not chosen on.

    Args:
        outcomes: of the class.
        folds: (images,), the fold of each image: the threshold for a fold is chosen on the others.
        precision: the wanted precision; ``None`` for the best F1.
    """
    right = kept = 0
    for fold in np.unique(folds):
        chosen = choose(outcomes.of_images(folds != fold), precision)
        if chosen is None:
            continue
        held_out = outcomes.of_images(folds == fold)
        above = held_out.scores >= chosen.value
        right, kept = right + int(held_out.right[above].sum()), kept + int(above.sum())
    return _measures(right, kept, int(outcomes.num_boxes.sum()))


def _best(
    right: np.ndarray, kept: np.ndarray, boxes: int, precision: float | None
) -> tuple[int, bool]:
    """Return the position of the best threshold in a curve, and whether it is as wanted."""
    if precision is None:
        return int(np.argmax(2 * right / (kept + boxes))), True
    reached = right / np.maximum(kept, 1)
    enough = np.flatnonzero((reached >= precision) & (right > 0))
    if len(enough):
        return int(enough[-1]), True
    return int(np.argmax(reached)), False


def _halfway(scores: np.ndarray, at: int) -> float:
    """Return the threshold halfway between a score and the next lower one, of distinct scores."""
    low = scores[at + 1] if at + 1 < len(scores) else 0.0
    scale = 10**SCORE_DECIMALS
    # Rounded up, the halfway point is above the next score and not above this one.
    return math.ceil((scores[at] + low) / 2 * scale - 1e-6) / scale


def _last_of_ties(scores: np.ndarray) -> np.ndarray:
    """Return the position of the last detection of each score: equal scores are kept together."""
    return np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)


def _measures(right: int, kept: int, boxes: int) -> Measures:
    return Measures(
        right / kept if kept else 0.0,
        right / boxes if boxes else 0.0,
        2 * right / (kept + boxes) if kept + boxes else 0.0,
    )
