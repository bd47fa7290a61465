"""Binary (sigmoid) losses: focal loss and cross-entropy."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from glip.models.losses.reduction import reduce_loss
from glip.registry import MODELS


@MODELS.register_module()
class FocalLoss(nn.Module):
    """Focal loss (Lin et al., ICCV 2017).

    -alpha_t (1 - p_t)^gamma log p_t, where p_t is the predicted probability of the target and
    alpha_t is ``alpha`` for the target 1 and 1 - ``alpha`` for 0.

    Args:
        use_sigmoid: only ``True``.
        gamma: exponent that reduces the loss of well-classified examples (official: 2).
        alpha: weight of positive examples (official: 0.25).
        loss_weight: factor of the loss (official: 1).

    Raises:
        ValueError: ``use_sigmoid`` is false.
    """

    def __init__(
        self,
        use_sigmoid: bool = True,
        gamma: float = 2.0,
        alpha: float = 0.25,
        loss_weight: float = 1.0,
    ):
        super().__init__()
        if not use_sigmoid:
            raise ValueError(
                "expected use_sigmoid=True, got False: every token is a binary decision of its own"
            )
        self.gamma = gamma
        self.alpha = alpha
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | float | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: logits of any shape.
            target: 0 or 1, of the same shape.
            weight, avg_factor: see :func:`~glip.models.losses.reduction.reduce_loss`.

        Returns:
            a scalar.
        """
        loss = sigmoid_focal_loss(pred, target.to(pred), alpha=self.alpha, gamma=self.gamma)
        return self.loss_weight * reduce_loss(loss, weight, avg_factor)


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """Binary cross-entropy.

    Args:
        use_sigmoid: only ``True``.
        loss_weight: factor of the loss (official: 1).

    Raises:
        ValueError: ``use_sigmoid`` is false.
    """

    def __init__(self, use_sigmoid: bool = True, loss_weight: float = 1.0):
        super().__init__()
        if not use_sigmoid:
            raise ValueError(
                "expected use_sigmoid=True, got False: centerness is a single probability"
            )
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: Tensor | float | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred: logits of any shape.
            target: probabilities of the same shape.
            weight, avg_factor: see :func:`~glip.models.losses.reduction.reduce_loss`.

        Returns:
            a scalar.
        """
        loss = F.binary_cross_entropy_with_logits(pred, target.to(pred), reduction="none")
        return self.loss_weight * reduce_loss(loss, weight, avg_factor)
