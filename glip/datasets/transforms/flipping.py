"""Flipping images and their boxes.

Two conventions for a box meet here. In a *continuous* box x2 is the edge after the last pixel: its
width is x2 - x1, and mirrored in an image of width W it becomes (W - x2, W - x1). In an *inclusive*
box, which the official GLIP trains on (see :class:`~glip.datasets.transforms.GTBoxSubOne`), x2 is
the last pixel itself: its width is x2 - x1 + 1, and mirrored it becomes (W - 1 - x2, W - 1 - x1).
"""

from __future__ import annotations

import numpy as np
from mmcv.transforms import RandomFlip as MMCVRandomFlip

from ...registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomFlip(MMCVRandomFlip):
    """Flip the image with some probability, and its boxes with it.

    Reads ``img`` (H, W, 3) and, where present, ``gt_bboxes`` (G, 4). Writes both, ``flip``, whether
    it was flipped, and ``flip_direction``, the direction or None. A caption is left as it is, also
    where it says "left" or "right", as in the official code.

    Args:
        prob: probability of a flip; with several directions their sum, or a list with one each.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'`` (both at once), or a list.
        inclusive: the boxes include their last pixel.
    """

    def __init__(
        self,
        prob: float | list[float],
        direction: str | list[str] = "horizontal",
        *,
        inclusive: bool = False,
    ) -> None:
        # mmcv refuses the integers 0 and 1.
        super().__init__(float(prob) if isinstance(prob, int) else prob, direction)
        self.inclusive = inclusive

    def _flip_bbox(
        self, bboxes: np.ndarray, img_shape: tuple[int, int], direction: str
    ) -> np.ndarray:
        """Return the boxes (G, 4) as they are in the flipped image.

        Args:
            bboxes: (G, 4), xyxy.
            img_shape: (height, width).
            direction: how the image is flipped.
        """
        height, width = img_shape
        last = 1 if self.inclusive else 0
        return super()._flip_bbox(bboxes, (height - last, width - last), direction)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(prob={self.prob}, direction={self.direction!r}, "
            f"inclusive={self.inclusive})"
        )


@TRANSFORMS.register_module(name="RandomFlip_GLIP")
class RandomFlipInclusive(RandomFlip):
    """:class:`RandomFlip` of inclusive boxes, under the name mmdet's configs use.

    Args:
        prob: as in :class:`RandomFlip`.
        direction: as in :class:`RandomFlip`.
    """

    def __init__(
        self, prob: float | list[float], direction: str | list[str] = "horizontal"
    ) -> None:
        super().__init__(prob, direction, inclusive=True)
