"""Box deltas relative to anchors, and the official convention of inclusive boxes.

In the official code x2 and y2 are the last pixel of a box: an *inclusive* box (x1, y1, x2, y2) is
x2 - x1 + 1 pixels wide. The public boxes of this library are the usual continuous ones, whose x2
and y2 are larger by 1, see :func:`inclusive_to_xyxy`. Inside the head all boxes are inclusive.

Shapes: N boxes or anchors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from glip.registry import TASK_UTILS

#: Upper clamp of the log-ratio of a decoded side to its anchor's, a box of 1000 pixels over an
#: anchor of 16 (official, from Faster R-CNN).
MAX_LOG_RATIO = math.log(1000 / 16)


@TASK_UTILS.register_module(name=["InclusiveBoxCoder", "DeltaXYWHBBoxCoderForGLIP"])
class InclusiveBoxCoder:
    """Encode boxes as deltas relative to anchors, and decode them; both are inclusive xyxy pixels.

    The width is x2 - x1 + 1, the height y2 - y1 + 1 and the centre
    ((x1 + x2) / 2, (y1 + y2) / 2). ``decode(anchors, encode(anchors, boxes)) == boxes`` up to
    rounding, if no log-ratio of sides is above ``MAX_LOG_RATIO``.

    Args:
        target_means: only zeros, as in every GLIP.
        target_stds: standard deviations that divide the deltas; the defaults are the inverses of
            the official weights 10, 10, 5, 5.

    Raises:
        ValueError: ``target_means`` are not zeros.
    """

    def __init__(
        self,
        target_means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
        target_stds: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
    ):
        if any(target_means):
            raise ValueError(f"expected target_means of zeros, got {tuple(target_means)}")
        # The official code divides by 10 and 5, which rounds differently from multiplying by 0.1.
        self.weights = tuple(1.0 / std for std in target_stds)

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """Encode: (N, 4) anchors and (N, 4) boxes -> (N, 4) deltas (dx, dy, dw, dh)."""
        wx, wy, ww, wh = self.weights
        width, height, x, y = _size_and_center(anchors)
        box_width, box_height, box_x, box_y = _size_and_center(boxes)
        return torch.stack(
            [
                wx * (box_x - x) / width,
                wy * (box_y - y) / height,
                ww * torch.log(box_width / width),
                wh * torch.log(box_height / height),
            ],
            dim=-1,
        )

    def decode(self, anchors: Tensor, deltas: Tensor) -> Tensor:
        """Decode: (N, 4) anchors and (N, 4) deltas -> (N, 4) boxes."""
        wx, wy, ww, wh = self.weights
        width, height, x, y = _size_and_center(anchors)
        dx, dy, dw, dh = deltas.float().unbind(-1)
        x = dx / wx * width + x
        y = dy / wy * height + y
        half_width = 0.5 * (torch.exp((dw / ww).clamp(max=MAX_LOG_RATIO)) * width - 1)
        half_height = 0.5 * (torch.exp((dh / wh).clamp(max=MAX_LOG_RATIO)) * height - 1)
        return torch.stack(
            [x - half_width, y - half_height, x + half_width, y + half_height], dim=-1
        )


def clip_inclusive(boxes: Tensor, height: int, width: int) -> Tensor:
    """Clip (N, 4) inclusive boxes to x in 0...width - 1 and y in 0...height - 1."""
    limits = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return boxes.clamp(min=0).minimum(limits)


def inclusive_to_xyxy(boxes: Tensor) -> Tensor:
    """Convert (N, 4) inclusive boxes to continuous xyxy boxes: add 1 to x2 and y2."""
    return boxes + boxes.new_tensor([0, 0, 1, 1])


def _size_and_center(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return width, height, x and y of the centres, (N,) each."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return x2 - x1 + 1, y2 - y1 + 1, (x1 + x2) / 2, (y1 + y2) / 2
