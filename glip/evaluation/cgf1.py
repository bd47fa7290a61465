"""cgF1, the metric of SA-Co: are the objects of a phrase localized, and is its absence recognized?

Its definition is that of the SAM 3 paper (Carion et al., 2025, arXiv 2511.16719) and its evaluator.
The unit is a pair of an image and a phrase. Detections below a fixed threshold do not count, as in
use. Over all pairs:

- **pmF1**, positive micro-F1: detections are matched one to one with the annotated boxes, such that
  the sum of the IoUs is largest; a match of at least the IoU threshold is a true positive. True
  positives, false positives and false negatives are summed over the pairs whose phrase is present,
  and F1 is averaged over the IoU thresholds 0.50, 0.55, ..., 0.95.
- **IL_MCC**: the Matthews correlation of "the phrase is present" and "something was detected",
  -1 to 1, over all pairs.
- **cgF1** = 100 pmF1 IL_MCC.

Crowd boxes are left out, also as matches. The official evaluator adds 1e-4 to denominators, which
changes the fourth digit; here a fraction without a denominator is 0.

Shapes: G annotated boxes of a pair, K detections.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torchvision.ops import box_iou

from glip.utils.errors import DependencyError

#: The IoU thresholds, 0.50 to 0.95.
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: Smallest score of a detection in the official evaluation.
SCORE_THRESHOLD = 0.5


@dataclass
class CGF1Counts:
    """The counts of pairs of an image and a phrase.

    Attributes:
        true_positives: (10,), for each IoU threshold, over the pairs whose phrase is present.
        num_boxes, num_detections: annotated boxes and detections of these pairs.
        present_detected, present_missed, absent_detected, absent_missed: numbers of pairs.
    """

    true_positives: np.ndarray = field(default_factory=lambda: np.zeros(10, dtype=np.int64))
    num_boxes: int = 0
    num_detections: int = 0
    present_detected: int = 0
    present_missed: int = 0
    absent_detected: int = 0
    absent_missed: int = 0

    def add(self, boxes: np.ndarray, found: np.ndarray) -> None:
        """Count a pair.

        Args:
            boxes: (G, 4), annotated, xyxy pixels, no crowds.
            found: (K, 4), the detections from the threshold on, xyxy pixels.
        """
        if not len(boxes):
            self.absent_detected += len(found) > 0
            self.absent_missed += len(found) == 0
            return
        self.present_detected += len(found) > 0
        self.present_missed += len(found) == 0
        self.num_boxes += len(boxes)
        self.num_detections += len(found)
        if len(found):
            self.true_positives += _count_matches(boxes, found)

    def metrics(self) -> dict[str, float]:
        """Return the metrics, from ``cgF1`` to the image-level precision and recall."""
        tp, total = self.true_positives, self.num_boxes + self.num_detections
        f1 = 2 * tp / total if total else np.zeros(len(tp))
        mcc = self.mcc()
        scores = {"cgF1": 100 * f1.mean() * mcc, "cgF1_50": 100 * f1[0] * mcc}
        scores |= {"pmF1": f1.mean(), "pmF1_50": f1[0], "IL_MCC": mcc}
        detected = self.present_detected + self.absent_detected
        present = self.present_detected + self.present_missed
        scores["IL_precision"] = self.present_detected / detected if detected else 0.0
        scores["IL_recall"] = self.present_detected / present if present else 0.0
        return {name: float(score) for name, score in scores.items()}

    def mcc(self) -> float:
        """Return the Matthews correlation coefficient of the pairs."""
        tp, fn = self.present_detected, self.present_missed
        fp, tn = self.absent_detected, self.absent_missed
        margins = float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)
        return (float(tp) * tn - float(fp) * fn) / margins**0.5 if margins else 0.0


def cgf1(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Compute cgF1 and its parts.

    Args:
        pairs: for each image and each phrase that was asked of it: the annotated boxes (G, 4),
            xyxy, none if the phrase is absent, and the detections (K, 4) from the threshold on.

    Returns:
        ``cgF1`` and ``cgF1_50`` (IoU 0.5 alone), -100 to 100; ``pmF1``, ``pmF1_50``,
        ``IL_precision`` and ``IL_recall``, 0 to 1; ``IL_MCC``, -1 to 1.

    Raises:
        DependencyError: scipy is not installed.
    """
    counts = CGF1Counts()
    for boxes, found in pairs:
        counts.add(np.asarray(boxes).reshape(-1, 4), np.asarray(found).reshape(-1, 4))
    return counts.metrics()


def _count_matches(boxes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return the number of matches (10,) for each IoU threshold."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise DependencyError(f"cgF1 needs scipy: pip install scipy ({error})") from None
    overlaps = box_iou(torch.from_numpy(found).double(), torch.from_numpy(boxes).double())
    overlaps = overlaps.nan_to_num(0).numpy()  # NaN: two boxes without area
    matched = overlaps[linear_sum_assignment(overlaps, maximize=True)]
    return (matched[:, None] >= IOU_THRESHOLDS).sum(axis=0)
