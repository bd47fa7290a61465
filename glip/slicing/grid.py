"""The grid of slices over a large image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from glip.utils.options import check_choice, check_int, check_number

MERGE_METHODS = ("nms", "nmm")

#: Smallest slice, in pixels: the largest stride of the feature pyramid times two.
MIN_SLICE = 256


class Window(NamedTuple):
    """A rectangle of an image: x1 <= x < x2 and y1 <= y < y2, in pixels."""

    x1: int
    y1: int
    x2: int
    y2: int


@dataclass(frozen=True)
class Slicing:
    """How a large image is cut into slices, and how their detections are merged.

    Objects that are small in a large image vanish when it is resized to the input of the network.
    Each slice is detected in as an image of its own, so they are seen larger; the whole image is
    detected in too, for objects larger than a slice.

    Attributes:
        size: side of a slice in pixels. An image with both sides of at most this length is not cut.
        overlap: part of a slice that the next one repeats, at least 0 and below 1. An object
            smaller than ``overlap * size`` is whole in some slice.
        batch_size: slices that are detected in together.
        merge: ``'nms'`` keeps the best of the boxes that overlap, ``'nmm'`` (non-maximum merging)
            replaces them by the box around them.
        iou_threshold: boxes of one phrase that overlap more are merged: intersection over union
            for ``'nms'``, over the smaller box for ``'nmm'``.

    Raises:
        ConfigError: a value is of another type or outside its range.
    """

    size: int = 640
    overlap: float = 0.2
    batch_size: int = 4
    merge: str = "nms"
    iou_threshold: float = 0.5

    def __post_init__(self) -> None:
        check_int("slice size", self.size, low=MIN_SLICE)
        check_number("overlap of slices", self.overlap, low=0, high=0.9)
        check_int("batch size of slices", self.batch_size, low=1)
        check_choice("merge method of slices", self.merge, MERGE_METHODS)
        check_number("IoU threshold of slices", self.iou_threshold, low=0, high=1)


def slice_windows(height: int, width: int, slicing: Slicing) -> list[Window]:
    """Return the slices of an image, row by row; none if the image is no larger than a slice.

    All have the same size: the last slice of a row or column ends at the border of the image and
    overlaps more than the others. A side shorter than a slice is not cut.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        slicing: size and overlap of the slices.
    """
    if max(height, width) <= slicing.size:
        return []
    rows = _starts(height, slicing)
    columns = _starts(width, slicing)
    return [
        Window(x, y, min(x + slicing.size, width), min(y + slicing.size, height))
        for y in rows
        for x in columns
    ]


def _starts(length: int, slicing: Slicing) -> list[int]:
    """Return where slices start along a side."""
    step = max(int(slicing.size * (1 - slicing.overlap)), 1)
    last = max(length - slicing.size, 0)
    return [*range(0, last, step), last]
