"""Boxes as offsets from anchors, and the one place that knows the official + 1.

The official code counts a box's last pixel in: an *inclusive* box (x1, y1, x2, y2) is
x2 - x1 + 1 pixels wide. The boxes of this library's users are the usual continuous ones, whose x2
and y2 are one larger; :func:`inclusive_to_xyxy` makes them. Everything between is inclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from glip.registry import TASK_UTILS

#: Largest log-ratio of a decoded side to its anchor's: a box of 1000 pixels from the smallest
#: anchor of 16 (official, from Faster R-CNN).
MAX_LOG_RATIO = math.log(1000 / 16)


@TASK_UTILS.register_module(name=["InclusiveBoxCoder", "DeltaXYWHBBoxCoderForGLIP"])
class InclusiveBoxCoder:
    """Encode boxes as deltas from anchors, and decode them; both inclusive, in pixels.

    With w = x2 - x1 + 1, h alike and the centre at ((x1 + x2) / 2, (y1 + y2) / 2):
    ``decode(anchors, encode(anchors, boxes)) == boxes`` up to rounding, for boxes whose sides are
    below ``MAX_LOG_RATIO``.

    Args:
        target_means: only zeros, what every GLIP uses.
        target_stds: units of the deltas; the defaults are the official weights 10, 10, 5, 5.

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
        # The official code divides by 10 and 5, which rounds otherwise than multiplying by 0.1.
        self.weights = tuple(1.0 / std for std in target_stds)

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """(N, 4) anchors and (N, 4) boxes -> (N, 4) deltas (dx, dy, dw, dh)."""
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
        """(N, 4) anchors and (N, 4) deltas -> (N, 4) boxes."""
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
    """Clip (N, 4) inclusive boxes to the pixels 0...width - 1 and 0...height - 1."""
    limits = boxes.new_tensor([width - 1, height - 1, width - 1, height - 1])
    return boxes.clamp(min=0).minimum(limits)


def inclusive_to_xyxy(boxes: Tensor) -> Tensor:
    """(N, 4) inclusive boxes -> continuous xyxy boxes: x2 and y2 one larger."""
    return boxes + boxes.new_tensor([0, 0, 1, 1])


def _size_and_center(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return x2 - x1 + 1, y2 - y1 + 1, (x1 + x2) / 2, (y1 + y2) / 2
