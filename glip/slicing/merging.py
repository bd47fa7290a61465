"""Merge the detections of slices and of the whole image.

Boxes are xyxy pixels of the whole image. Shapes: K detections.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from glip.slicing.grid import Window

#: A box that ends so close to the border of its slice, in parts of the slice, counts as cut.
BORDER = 0.01
#: A cut box is dropped if this part of it lies in a whole box of the same phrase.
CUT_OVERLAP = 0.7
#: Such a whole box must have at least this part of the cut box's score.
CUT_SCORE = 0.5
# Boxes that are compared at once with all others, which bounds the memory.
_ROWS = 1024


def is_cut(boxes: Tensor, window: Window, height: int, width: int) -> Tensor:
    """Return which boxes of a slice end at a border that is not a border of the image.

    Args:
        boxes: (K, 4).
        window: the slice.
        height: of the image.
        width: of the image.

    Returns:
        (K,) bool.
    """
    margin_x = max(BORDER * (window.x2 - window.x1), 1.0)
    margin_y = max(BORDER * (window.y2 - window.y1), 1.0)
    cut = torch.zeros(len(boxes), dtype=torch.bool)
    if window.x1 > 0:
        cut |= boxes[:, 0] <= window.x1 + margin_x
    if window.y1 > 0:
        cut |= boxes[:, 1] <= window.y1 + margin_y
    if window.x2 < width:
        cut |= boxes[:, 2] >= window.x2 - margin_x
    if window.y2 < height:
        cut |= boxes[:, 3] >= window.y2 - margin_y
    return cut


def drop_cut(boxes: Tensor, scores: Tensor, labels: Tensor, cut: Tensor) -> Tensor:
    """Return which boxes remain without the cut ones of which the whole object was found.

    Args:
        boxes: (K, 4).
        scores: (K,).
        labels: (K,).
        cut: (K,) bool, of :func:`is_cut`.

    Returns:
        (K,) bool.
    """
    keep = torch.ones(len(boxes), dtype=torch.bool)
    for label in labels[cut].unique():
        same = labels == label
        pieces, whole = (same & cut).nonzero()[:, 0], (same & ~cut).nonzero()[:, 0]
        if not len(whole):
            continue
        for rows in pieces.split(_ROWS):
            inside = _intersection(boxes[rows], boxes[whole])
            inside = inside / _area(boxes[rows]).clamp(min=1e-6)[:, None]
            enough = scores[whole][None] >= CUT_SCORE * scores[rows][:, None]
            keep[rows] = ~((inside >= CUT_OVERLAP) & enough).any(1)
    return keep


def merge_by_nms(boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Return the indices that NMS keeps among boxes of the same label, best score first."""
    return batched_nms(boxes, scores, labels, threshold)


def merge_by_nmm(
    boxes: Tensor, scores: Tensor, labels: Tensor, threshold: float
) -> tuple[Tensor, Tensor]:
    """Merge boxes by greedy non-maximum merging.

    From the best score on, a box takes in all boxes of its label that overlap it by more than
    ``threshold`` of the smaller one, and becomes the box around them. It keeps its score.

    Args:
        boxes: (K, 4).
        scores: (K,).
        labels: (K,).
        threshold: intersection over the area of the smaller box.

    Returns:
        The indices of the best boxes, (M,), best score first, and the merged boxes, (M, 4).
    """
    all_boxes = boxes.double().numpy()
    order = scores.argsort(descending=True, stable=True)
    kept: list[int] = []
    merged: list[np.ndarray] = []
    for label in labels.unique().tolist():
        left = order[labels[order] == label].numpy()
        while len(left):
            best, rest = left[0], left[1:]
            overlap = _overlap_of_smaller(all_boxes[best], all_boxes[rest])
            group = np.concatenate([left[:1], rest[overlap > threshold]])
            kept.append(int(best))
            around = all_boxes[group]
            merged.append(np.concatenate([around[:, :2].min(0), around[:, 2:].max(0)]))
            left = rest[overlap <= threshold]
    if not kept:
        return torch.zeros(0, dtype=torch.int64), boxes[:0]
    indices = torch.tensor(kept)
    best_first = scores[indices].argsort(descending=True, stable=True)
    around = torch.from_numpy(np.stack(merged)).to(boxes.dtype)
    return indices[best_first], around[best_first]


def count_added(
    boxes: Tensor, labels: Tensor, whole_boxes: Tensor, whole_labels: Tensor, iou: float = 0.5
) -> int:
    """Return how many detections match none of the whole image, by label and IoU."""
    added = 0
    for label in labels.unique():
        mine, other = boxes[labels == label], whole_boxes[whole_labels == label]
        if not len(other):
            added += len(mine)
            continue
        for rows in mine.split(_ROWS):
            inside = _intersection(rows, other)
            union = _area(rows)[:, None] + _area(other)[None] - inside
            added += int((inside < iou * union).all(1).sum())
    return added


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _intersection(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersections (M, N) of boxes (M, 4) and (N, 4)."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    return (high - low).clamp(min=0).prod(2)


def _overlap_of_smaller(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersections of a box with others over the smaller area of the two."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=1)
    sizes = others[:, 2:] - others[:, :2]
    smaller = np.minimum(np.prod(box[2:] - box[:2]), np.prod(sizes, axis=1))
    return inside / np.maximum(smaller, 1e-6)
