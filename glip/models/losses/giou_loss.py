"""The box regression loss.

Shapes: P boxes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import generalized_box_iou_loss

from glip.models.losses.reduction import reduce_loss
from glip.registry import MODELS


@MODELS.register_module()
class GIoULoss(nn.Module):
    """1 - generalized IoU (Rezatofighi et al., CVPR 2019).

    As in the official code, areas are (x2 - x1)(y2 - y1), without the + 1 of inclusive boxes, and
    x2 and y2 of a predicted box are clamped to at least x1 and y1: a box narrower than a pixel has
    x2 < x1 in inclusive coordinates.

    Args:
        loss_weight: factor of the loss (official: 2).
        eps: added to both denominators, in square pixels (official: 1e-7).
    """

    def __init__(self, loss_weight: float = 2.0, eps: float = 1e-7):
        super().__init__()
        self.loss_weight = loss_weight
        self.eps = eps

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | float | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: (P, 4) xyxy pixels.
            target: (P, 4) xyxy pixels.
            weight: (P,).
            avg_factor: see :func:`~glip.models.losses.reduction.reduce_loss`.

        Returns:
            a scalar.
        """
        start, end = pred[:, :2], pred[:, 2:]
        ordered = torch.cat([start, torch.maximum(start, end)], dim=1)
        loss = generalized_box_iou_loss(ordered, target.to(pred), eps=self.eps)
        return self.loss_weight * reduce_loss(loss, weight, avg_factor)
