"""The detections of one image as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou

from glip.utils.errors import DataError


@dataclass(frozen=True)
class Predictions:
    """The K detections of one image.

    Attributes:
        bboxes: (K, 4) float64, xyxy in pixels of the original image.
        scores: (K,) float64.
        labels: (K,) int64, 0-based.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: Any) -> Predictions:
        return Predictions(self.bboxes[index], self.scores[index], self.labels[index])

    @property
    def xywh(self) -> np.ndarray:
        """The boxes (K, 4) in COCO's format: x, y, width = x2 - x1, height = y2 - y1."""
        return np.concatenate([self.bboxes[:, :2], self.bboxes[:, 2:] - self.bboxes[:, :2]], axis=1)

    def sort_by_score(self) -> Predictions:
        """Return the detections by descending score; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]

    def iou(self, boxes: np.ndarray) -> np.ndarray:
        """Compute the IoU of every detection with every box.

        Args:
            boxes: (G, 4) float64, xyxy.

        Returns:
            (K, G) float64; 0 where both boxes have no area.
        """
        overlaps = box_iou(torch.from_numpy(self.bboxes), torch.from_numpy(boxes))
        return overlaps.nan_to_num(0).numpy()


def read_predictions(sample: Mapping[str, Any]) -> tuple[Predictions, int]:
    """Read the detections of a data sample.

    Args:
        sample: a data sample with ``pred_instances``: ``bboxes``, ``scores`` and ``labels`` as
            tensors, arrays or lists.

    Returns:
        The detections with finite boxes and scores, none for an ``unreadable`` image, and the
        number of the non-finite ones.

    Raises:
        DataError: the data sample has no ``pred_instances``.
    """
    if "pred_instances" not in sample:
        raise DataError(
            "a data sample has no 'pred_instances': expected the output of the model's predict "
            f"mode, got the keys {sorted(sample)}."
        )
    given = sample["pred_instances"]
    predictions = Predictions(
        to_array(given["bboxes"], np.float64).reshape(-1, 4),
        to_array(given["scores"], np.float64).reshape(-1),
        to_array(given["labels"], np.int64).reshape(-1),
    )
    if sample.get("unreadable"):
        return predictions[:0], 0
    finite = np.isfinite(predictions.bboxes).all(axis=1) & np.isfinite(predictions.scores)
    return predictions[finite], int((~finite).sum())


def to_array(values: Any, dtype: type) -> np.ndarray:
    """Convert a tensor of any device and dtype, an array or a list to an array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # numpy has no bfloat16.
        values = values.double() if values.is_floating_point() else values
        values = values.numpy()
    return np.asarray(values, dtype=dtype)
