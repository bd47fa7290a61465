"""The ATSS assigner (Zhang et al., CVPR 2020, algorithm 1) on inclusive boxes.

Shapes: level i has N_i anchors, N over all levels; G annotated boxes; K candidates per box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from glip.models.task_modules.coders.box_coder import inclusive_to_xyxy
from glip.registry import TASK_UTILS

#: Minimum distance of a positive anchor's centre to the sides of its box, in pixels (official).
MIN_CENTER_MARGIN = 0.01


@TASK_UTILS.register_module(name=["InclusiveOverlaps", "BboxOverlaps2D_GLIP"])
class InclusiveOverlaps:
    """IoU of inclusive boxes, with widths x2 - x1 + 1.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    >>> InclusiveOverlaps()(boxes, torch.tensor([[0.0, 0.0, 9.0, 4.0]]))
    tensor([[0.5000]])
    """

    def __call__(self, boxes: Tensor, others: Tensor) -> Tensor:
        """Compute the IoU of (N, 4) and (G, 4) inclusive xyxy boxes -> (N, G)."""
        return box_iou(inclusive_to_xyxy(boxes), inclusive_to_xyxy(others))


@TASK_UTILS.register_module()
class ATSSAssigner:
    """Adaptive training sample selection.

    1. The candidates of a box are, on each level, the ``topk`` anchors with the nearest centres.
    2. A candidate is positive if its IoU is at least the mean plus the standard deviation of the
       candidates' IoUs, and its centre is inside the box by more than ``MIN_CENTER_MARGIN``.
    3. An anchor that is positive for several boxes is assigned to the one of the highest IoU.

    Centres on a grid often have equal distances. :func:`torch.topk` breaks the ties, as in the
    official code.

    Args:
        topk: number of candidates per box and level (official: 9).
        alpha: only ``None``; MMDetection's DDOD uses other values.
        iou_calculator: config of the (N, G) overlaps; by default the official
            :class:`InclusiveOverlaps`.
        ignore_iof_thr: only -1, no ignored boxes: the official data sets exclude crowds.

    Raises:
        ValueError: an option has a value that GLIP does not use.
    """

    def __init__(
        self,
        topk: int = 9,
        alpha: float | None = None,
        iou_calculator: dict | None = None,
        ignore_iof_thr: float = -1,
    ):
        if alpha is not None or ignore_iof_thr > 0:
            raise ValueError(
                "expected alpha=None and ignore_iof_thr=-1, as in every GLIP, got "
                f"alpha={alpha} and ignore_iof_thr={ignore_iof_thr}"
            )
        if topk < 1:
            raise ValueError(f"expected topk of at least 1 candidate per level, got {topk}")
        self.topk = topk
        self.overlaps: Callable[[Tensor, Tensor], Tensor] = TASK_UTILS.build(
            iou_calculator or dict(type="InclusiveOverlaps")
        )

    def __call__(self, anchors: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Assign boxes to anchors.

        Args:
            anchors: (N_i, 4) of each level, inclusive xyxy pixels of the padded image.
            boxes: (G, 4), in the same coordinates; G may be 0.

        Returns:
            (N,) the index of each anchor's box, -1 for none.
        """
        all_anchors = torch.cat(list(anchors))
        if len(boxes) == 0:
            return all_anchors.new_full((len(all_anchors),), -1, dtype=torch.long)
        boxes = boxes.to(all_anchors)
        overlaps = self.overlaps(all_anchors, boxes)  # (N, G)
        candidates = self._nearest(anchors, boxes)  # (K, G)
        candidate_overlaps = overlaps.gather(0, candidates)
        threshold = candidate_overlaps.mean(dim=0) + candidate_overlaps.std(dim=0)
        positive = candidate_overlaps >= threshold
        positive &= center_margins(all_anchors[candidates], boxes) > MIN_CENTER_MARGIN
        positive_overlaps = torch.full_like(overlaps, -torch.inf).scatter(
            0, candidates, candidate_overlaps.masked_fill(~positive, -torch.inf)
        )
        highest, best = positive_overlaps.max(dim=1)
        return best.masked_fill(highest == -torch.inf, -1)

    def _nearest(self, anchors: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Return the candidates of each box, (K, G) indices into the anchors of all levels."""
        rows, start = [], 0
        for level in anchors:
            offsets = centers(level)[:, None] - centers(boxes)  # (N_i, G, 2)
            distances = offsets.pow(2).sum(dim=-1).sqrt()
            count = min(self.topk, len(level))
            rows.append(distances.topk(count, dim=0, largest=False).indices + start)
            start += len(level)
        return torch.cat(rows)


def centers(boxes: Tensor) -> Tensor:
    """Return the centres (x, y) of boxes: (..., 4) -> (..., 2)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def center_margins(anchors: Tensor, boxes: Tensor) -> Tensor:
    """Return the distance of the anchors' centres to the nearest side of the boxes, in pixels.

    Args:
        anchors, boxes: (..., 4), of shapes that broadcast.

    Returns:
        (...), positive inside the box and negative outside.
    """
    middle = centers(anchors)
    return torch.cat([middle - boxes[..., :2], boxes[..., 2:] - middle], dim=-1).amin(dim=-1)
