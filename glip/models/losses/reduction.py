"""How every loss becomes one number."""

from __future__ import annotations

from torch import Tensor


def reduce_loss(
    loss: Tensor, weight: Tensor | None = None, avg_factor: Tensor | float | None = None
) -> Tensor:
    """Weigh and average.

    Args:
        loss: of any shape.
        weight: of a shape that broadcasts to it; by default everything counts the same.
        avg_factor: what the sum is divided by; by default the number of elements, at least 1.

    Returns:
        a scalar; over no elements it is a zero that keeps the graph.
    """
    if weight is not None:
        loss = loss * weight
    return loss.sum() / (max(loss.numel(), 1) if avg_factor is None else avg_factor)
