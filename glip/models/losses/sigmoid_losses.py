"""Losses of independent yes-or-no decisions: focal and plain cross-entropy."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import sigmoid_focal_loss

from glip.models.losses.reduction import reduce_loss
from glip.registry import MODELS


@MODELS.register_module()
class FocalLoss(nn.Module):
    """Cross-entropy in which what is already right counts little (Lin et al., ICCV 2017).

    With p the probability of the right answer: -alpha_t (1 - p)^gamma log p, where alpha_t is
    ``alpha`` for yes and 1 - ``alpha`` for no.

    Args:
        use_sigmoid: only ``True``.
        gamma: how little (official: 2).
        alpha: weight of the answer yes (official: 0.25).
        loss_weight: of the whole (official: 1).

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
                "FocalLoss decides on every token by itself: expected use_sigmoid=True, got False"
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
            target: 1 for yes, 0 for no; of the same shape.
            weight, avg_factor: see :func:`~glip.models.losses.reduction.reduce_loss`.

        Returns:
            a scalar.
        """
        loss = sigmoid_focal_loss(pred, target.to(pred), alpha=self.alpha, gamma=self.gamma)
        return self.loss_weight * reduce_loss(loss, weight, avg_factor)


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """Cross-entropy of a probability with a target between 0 and 1.

    Args:
        use_sigmoid: only ``True``.
        loss_weight: of the whole (official: 1).

    Raises:
        ValueError: ``use_sigmoid`` is false.
    """

    def __init__(self, use_sigmoid: bool = True, loss_weight: float = 1.0):
        super().__init__()
        if not use_sigmoid:
            raise ValueError(
                "CrossEntropyLoss compares single probabilities, there are no classes to choose "
                "from: expected use_sigmoid=True, got False"
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
            target: probabilities, of the same shape.
            weight, avg_factor: see :func:`~glip.models.losses.reduction.reduce_loss`.

        Returns:
            a scalar.
        """
        loss = F.binary_cross_entropy_with_logits(pred, target.to(pred), reduction="none")
        return self.loss_weight * reduce_loss(loss, weight, avg_factor)
