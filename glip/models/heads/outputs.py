"""What the head says of every position, before any decision.

Shapes: B images, T text tokens, level i of size H_i x W_i.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class HeadOutputs:
    """Per level, finest first, for all positions of a level row by row.

    Attributes:
        token_logits: (B, H_i * W_i, T) each.
        deltas: (B, H_i * W_i, 4) each, for the box coder.
        centerness: (B, H_i * W_i) each, logits.
        sizes: (H_i, W_i) each.
    """

    token_logits: list[Tensor]
    deltas: list[Tensor]
    centerness: list[Tensor]
    sizes: list[tuple[int, int]]
