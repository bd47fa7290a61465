"""Fit functions from scores to probabilities, and measure how reliable they are."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from glip.classes.calibration import ScoreMap
from glip.utils.errors import DependencyError

#: From so many right and so many wrong examples on the function is isotonic, else Platt's.
MIN_ISOTONIC = 50
NUM_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities against what happened.

    Attributes:
        predicted, observed: (bins,), mean prediction and fraction of right ones of each bin that
            has examples; the bins divide 0 to 1 equally.
        counts: (bins,), examples of the bins.
        error: the expected calibration error: the mean of the differences, weighted by counts.
        brier: the mean squared error of the predictions.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    error: float
    brier: float


def check_sklearn() -> None:
    """Check that scikit-learn is installed.

    Raises:
        DependencyError: it is not.
    """
    _sklearn()


def fit(scores: np.ndarray, right: np.ndarray) -> ScoreMap | None:
    """Fit a function from scores to the probability of being right.

    Args:
        scores: (K,), 0 to 1.
        right: (K,), bool.

    Returns:
        An isotonic function, or Platt's with few examples; ``None`` without an example.

    Raises:
        DependencyError: scikit-learn is not installed.
    """
    num_right = int(right.sum())
    num_wrong = len(right) - num_right
    if not len(right):
        return None
    if min(num_right, num_wrong) >= MIN_ISOTONIC:
        return _fit_isotonic(scores, right)
    return _fit_platt(scores, right, num_right, num_wrong)


def _fit_isotonic(scores: np.ndarray, right: np.ndarray) -> ScoreMap:
    # A bound for each end: among n examples an event that was not seen is not impossible.
    margin = 1 / (len(scores) + 2)
    model = _sklearn().isotonic.IsotonicRegression(y_min=margin, y_max=1 - margin)
    model.fit(scores, right.astype(float))
    values = np.maximum.accumulate(model.y_thresholds_.round(6))
    points = dict(zip(model.X_thresholds_.round(6).tolist(), values.tolist(), strict=True))
    return ScoreMap(isotonic=tuple(points.items()))


def _fit_platt(scores: np.ndarray, right: np.ndarray, num_right: int, num_wrong: int) -> ScoreMap:
    # Platt's targets (1999), which keep the function finite where the classes are separable.
    high, low = (num_right + 1) / (num_right + 2), 1 / (num_wrong + 2)
    target = np.where(right, high, low)
    model = _sklearn().linear_model.LogisticRegression(C=1e4, max_iter=1000)
    doubled = np.concatenate([scores, scores])[:, None]
    labels = np.repeat([1, 0], len(scores))
    model.fit(doubled, labels, sample_weight=np.concatenate([target, 1 - target]))
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < 0:  # the score says nothing: the same probability for all
        mean = float(target.mean())
        slope, offset = 0.0, float(np.log(mean / (1 - mean)))
    return ScoreMap(platt=(round(slope, 6), round(offset, 6)))


def cross_predict(scores: np.ndarray, right: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the probability of each example by a function that was fitted without its group.

    Args:
        scores: (K,).
        right: (K,), bool.
        groups: (K,), fold of each example.

    Returns:
        (K,); NaN where the other groups have no example.
    """
    predicted = np.full(len(scores), np.nan)
    for group in np.unique(groups):
        own = groups == group
        fitted = fit(scores[~own], right[~own])
        if fitted is not None:
            predicted[own] = [fitted(score) for score in scores[own].tolist()]
    return predicted


def reliability(predicted: np.ndarray, right: np.ndarray) -> Reliability:
    """Compare predicted probabilities (K,) with what happened (K,)."""
    bins = np.minimum((predicted * NUM_BINS).astype(int), NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    used = counts > 0
    weights = np.maximum(counts, 1)
    mean = np.bincount(bins, predicted, NUM_BINS) / weights
    observed = np.bincount(bins, right.astype(float), NUM_BINS) / weights
    total = max(len(predicted), 1)
    return Reliability(
        mean[used],
        observed[used],
        counts[used],
        float((np.abs(mean - observed) * counts).sum() / total),
        float(np.square(predicted - right).sum() / total),
    )


def _sklearn() -> ModuleType:
    try:
        import sklearn.isotonic
        import sklearn.linear_model
    except ImportError as error:
        raise DependencyError(
            f"a calibration needs scikit-learn: pip install scikit-learn ({error}). A calibrated "
            "file is applied without it"
        ) from None
    return sklearn
