"""The raw outputs of the head.

Shapes: B images, T text tokens, level i of size H_i x W_i.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class HeadOutputs:
    """Dense predictions per level, finest first; the positions of a level are row by row.

    Attributes:
        token_logits: (B, H_i * W_i, T) each, the alignment of every position with every token.
        deltas: (B, H_i * W_i, 4) each, box deltas for the box coder.
        centerness: (B, H_i * W_i) each, centerness logits.
        sizes: (H_i, W_i) each.
    """

    token_logits: list[Tensor]
    deltas: list[Tensor]
    centerness: list[Tensor]
    sizes: list[tuple[int, int]]
