"""The reduction that all losses share."""

from __future__ import annotations

from torch import Tensor


def reduce_loss(
    loss: Tensor, weight: Tensor | None = None, avg_factor: Tensor | float | None = None
) -> Tensor:
    """Compute the weighted sum of a loss, divided by ``avg_factor``.

    Args:
        loss: of any shape.
        weight: of a shape that broadcasts to that of ``loss``; 1 by default.
        avg_factor: divisor of the sum; by default the number of elements, at least 1.

    Returns:
        a scalar; without elements a zero that keeps the autograd graph.
    """
    if weight is not None:
        loss = loss * weight
    return loss.sum() / (max(loss.numel(), 1) if avg_factor is None else avg_factor)
