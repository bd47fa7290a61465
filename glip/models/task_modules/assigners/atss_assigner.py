"""Which anchors learn which box: ATSS (Zhang et al., CVPR 2020, algorithm 1), with inclusive boxes.

Shapes: level i has N_i anchors, N over all levels; G annotated boxes; K candidates a box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from glip.models.task_modules.coders.box_coder import inclusive_to_xyxy
from glip.registry import TASK_UTILS

#: How far inside the box an anchor's centre must be, in pixels (official).
MIN_CENTER_MARGIN = 0.01


@TASK_UTILS.register_module(name=["InclusiveOverlaps", "BboxOverlaps2D_GLIP"])
class InclusiveOverlaps:
    """IoU of inclusive boxes, whose width is x2 - x1 + 1.

    >>> boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    >>> InclusiveOverlaps()(boxes, torch.tensor([[0.0, 0.0, 9.0, 4.0]]))
    tensor([[0.5000]])
    """

    def __call__(self, boxes: Tensor, others: Tensor) -> Tensor:
        """(N, 4) and (G, 4) inclusive xyxy boxes -> (N, G)."""
        return box_iou(inclusive_to_xyxy(boxes), inclusive_to_xyxy(others))


@TASK_UTILS.register_module()
class ATSSAssigner:
    """Adaptive training sample selection.

    1. The candidates of a box are, on each level, the ``topk`` anchors with the nearest centres.
    2. Those are positive whose IoU reaches the mean plus the standard deviation of the candidates'
       IoUs, and whose centre lies in the box by more than ``MIN_CENTER_MARGIN``.
    3. An anchor that is positive for several boxes goes to the one of the highest IoU.

    Centres on a grid are often equally near. Which of them become candidates is left to
    :func:`torch.topk`, as in the official code.

    Args:
        topk: candidates of a box on each level (official: 9).
        alpha: only ``None``; MMDetection's DDOD uses others.
        iou_calculator: config of what computes (N, G) overlaps; :class:`InclusiveOverlaps` if not
            given, the official one.
        ignore_iof_thr: only -1, nothing is ignored: the official data sets leave crowds out.

    Raises:
        ValueError: an option that GLIP does not use.
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
            raise ValueError(f"topk must be at least 1 candidate a level, got {topk}")
        self.topk = topk
        self.overlaps: Callable[[Tensor, Tensor], Tensor] = TASK_UTILS.build(
            iou_calculator or dict(type="InclusiveOverlaps")
        )

    def __call__(self, anchors: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Give every anchor its box.

        Args:
            anchors: (N_i, 4) of each level, inclusive xyxy pixels of the padded image.
            boxes: (G, 4), likewise; G may be 0.

        Returns:
            (N,) the index of the box that each anchor learns, -1 for none.
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
        claims = torch.full_like(overlaps, -torch.inf).scatter(
            0, candidates, candidate_overlaps.masked_fill(~positive, -torch.inf)
        )
        highest, best = claims.max(dim=1)
        return best.masked_fill(highest == -torch.inf, -1)

    def _nearest(self, anchors: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """The rows (K, G), in all anchors, of the candidates of each box."""
        rows, start = [], 0
        for level in anchors:
            offsets = centers(level)[:, None] - centers(boxes)  # (N_i, G, 2)
            distances = offsets.pow(2).sum(dim=-1).sqrt()
            count = min(self.topk, len(level))
            rows.append(distances.topk(count, dim=0, largest=False).indices + start)
            start += len(level)
        return torch.cat(rows)


def centers(boxes: Tensor) -> Tensor:
    """(..., 4) boxes -> (..., 2) their centres (x, y)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def center_margins(anchors: Tensor, boxes: Tensor) -> Tensor:
    """How far the anchors' centres lie inside the boxes, in pixels; negative outside.

    Args:
        anchors, boxes: (..., 4), of shapes that broadcast.

    Returns:
        (...) the distance to the nearest side.
    """
    middle = centers(anchors)
    return torch.cat([middle - boxes[..., :2], boxes[..., 2:] - middle], dim=-1).amin(dim=-1)
