"""Flip images and their boxes.

There are two conventions for boxes. In a *continuous* box x2 is the edge after the last pixel: its
width is x2 - x1, and flipped in an image of width W it becomes (W - x2, W - x1). In an *inclusive*
box, which the official GLIP trains on (see :class:`~glip.datasets.transforms.GTBoxSubOne`), x2 is
the last pixel itself: its width is x2 - x1 + 1, and flipped it becomes (W - 1 - x2, W - 1 - x1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import RandomFlip as MMCVRandomFlip

from glip.registry import TRANSFORMS
from glip.text.mirror import mirror_caption, mirror_text
from glip.utils.options import check_number


@TRANSFORMS.register_module()
class RandomFlip(MMCVRandomFlip):
    """Flip the image with some probability, and its boxes with it.

    Reads ``img`` (H, W, 3) and, where present, ``gt_bboxes`` (G, 4). Writes both, ``flip``, whether
    it was flipped, and ``flip_direction``, the direction or None.

    A caption is not changed, also where it says "left" or "right", as in the official code. With
    ``swap_left_right`` a flip that swaps left and right also swaps these words: in ``text`` (a
    caption or class names), ``tokens_positive`` (whose spans are adjusted) and ``caption_prompt``.
    A label keeps its phrase: the left shoe becomes the right shoe of the flipped image.

    Args:
        prob: probability of a flip; with several directions their sum, or a list with one each.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'`` (both at once), or a list.
        inclusive: the boxes include their last pixel.
        swap_left_right: swap the words "left" and "right" with the sides; see
            :func:`glip.text.mirror.mirror_text`.

    Raises:
        TypeError: the prompt is neither a text nor a list of class names (on use).
    """

    def __init__(
        self,
        prob: float | list[float],
        direction: str | list[str] = "horizontal",
        *,
        inclusive: bool = False,
        swap_left_right: bool = False,
    ) -> None:
        for value in prob if isinstance(prob, (list, tuple)) else [prob]:
            check_number("prob", value, low=0, high=1)
        # mmcv rejects the integers 0 and 1.
        super().__init__(float(prob) if isinstance(prob, int) else prob, direction)
        self.inclusive = inclusive
        self.swap_left_right = swap_left_right

    def _flip(self, results: dict) -> None:
        """Flip the image, its boxes, and the sides in its prompt."""
        super()._flip(results)
        if self.swap_left_right and results["flip_direction"] != "vertical":
            results.update(_mirrored_prompt(results))

    def _flip_bbox(
        self, bboxes: np.ndarray, img_shape: tuple[int, int], direction: str
    ) -> np.ndarray:
        """Return the boxes (G, 4) in the flipped image.

        Args:
            bboxes: (G, 4), xyxy.
            img_shape: (height, width).
            direction: direction of the flip.
        """
        height, width = img_shape
        last = 1 if self.inclusive else 0
        return super()._flip_bbox(bboxes, (height - last, width - last), direction)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(prob={self.prob}, direction={self.direction!r}, "
            f"inclusive={self.inclusive}, swap_left_right={self.swap_left_right})"
        )


@TRANSFORMS.register_module(name="RandomFlip_GLIP")
class RandomFlipInclusive(RandomFlip):
    """:class:`RandomFlip` of inclusive boxes, under the name in MMDetection's configs.

    Args:
        prob: as in :class:`RandomFlip`.
        direction: as in :class:`RandomFlip`.
        swap_left_right: as in :class:`RandomFlip`.
    """

    def __init__(
        self,
        prob: float | list[float],
        direction: str | list[str] = "horizontal",
        *,
        swap_left_right: bool = False,
    ) -> None:
        super().__init__(prob, direction, inclusive=True, swap_left_right=swap_left_right)


def _mirrored_prompt(results: dict) -> dict:
    """Return copies of a prompt's fields with left and right swapped."""
    text, spans = results.get("text"), results.get("tokens_positive")
    mirrored: dict = {}
    if isinstance(text, str) and isinstance(spans, Sequence):
        mirrored["text"], mirrored["tokens_positive"] = mirror_caption(text, spans)
    elif isinstance(text, str):
        mirrored["text"] = mirror_text(text)
    elif isinstance(text, Sequence):
        mirrored["text"] = tuple(mirror_text(name) for name in text)
    elif text is not None:
        raise TypeError(
            "RandomFlip swaps left and right in a text or in a list of class names, got 'text' of "
            f"type {type(text).__name__}: {text!r}"
        )
    if results.get("caption_prompt"):
        mirrored["caption_prompt"] = {
            mirror_text(name): {part: mirror_text(words) for part, words in parts.items()}
            for name, parts in results["caption_prompt"].items()
        }
    return mirrored
