"""Intersection over union."""

from __future__ import annotations

import numpy as np


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the IoU of every pair of boxes.

    Args:
        first: (N, 4), xyxy, width x2 - x1.
        second: (M, 4).

    Returns:
        (N, M), from 0 to 1; 0 where neither box has an area.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    top_left = np.maximum(first[:, None, :2], second[:, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[:, 2:])
    shared = (bottom_right - top_left).clip(min=0).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
