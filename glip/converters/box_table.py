"""The boxes of millions of images in plain columns, and what of a box is inside its image."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator
from typing import Any, TypeVar

import numpy as np

Value = TypeVar("Value", bound=Hashable)
Box = tuple[float, float, float, float]


class BoxTable:
    """Boxes with a value each (a label, the spans of a phrase), to be looked up by image.

    A box takes 40 bytes however long the names of images and the values are, for each is stored
    once. First all are added, then they are looked up.

    Example:
        >>> table = BoxTable()
        >>> table.add("a.jpg", (0.0, 0.0, 5.0, 5.0), "dog")
        >>> list(table.take("a.jpg"))
        [((0.0, 0.0, 5.0, 5.0), 'dog')]
        >>> list(table.take("b.jpg"))
        []
    """

    def __init__(self) -> None:
        self._images: dict[Hashable, int] = {}
        self._values: dict[Any, int] = {}
        self._listed_values: list[Any] = []
        self._image_of = array("i")
        self._value_of = array("i")
        self._boxes = array("d")
        self._order: np.ndarray | None = None  # (B,) of B boxes, image by image
        self._starts: np.ndarray | None = None  # (I + 1,) where each of I images begins in it

    def add(self, image: Hashable, box: Box, value: Hashable) -> None:
        """Add a box of an image."""
        self._image_of.append(self._images.setdefault(image, len(self._images)))
        known = self._values.setdefault(value, len(self._values))
        if known == len(self._listed_values):
            self._listed_values.append(value)
        self._value_of.append(known)
        self._boxes.extend(box)

    def take(self, image: Hashable) -> Iterator[tuple[Box, Any]]:
        """Go through the boxes of an image and their values, in the order they were added."""
        if self._order is None:
            owners = np.array(self._image_of, dtype=np.int32)
            self._order = np.argsort(owners, kind="stable")
            self._starts = np.concatenate([[0], np.bincount(owners).cumsum()])
        number = self._images.get(image)
        if number is None:
            return
        for at in self._order[self._starts[number] : self._starts[number + 1]]:
            box = tuple(self._boxes[4 * at : 4 * at + 4])
            yield box, self._listed_values[self._value_of[at]]

    def counts(self) -> Iterator[tuple[Hashable, int]]:
        """Go through the images and how many boxes each has, in the order they were added."""
        counts = np.bincount(np.array(self._image_of, dtype=np.int32))
        yield from zip(self._images, map(int, counts), strict=True)


def clip_box(box: Box, width: int, height: int) -> Box | None:
    """Cut a box (x1, y1, x2, y2, pixels) at the borders of its image; None if nothing is left.

    Coordinates are rounded to a thousandth of a pixel: Objects365 has twelve decimals, and sums
    such as 473.07 + 38.65 have as many.

    Example:
        >>> clip_box((-5.0, 2.0, 5.0, 4.5), 10, 10)
        (0.0, 2.0, 5.0, 4.5)
        >>> clip_box((10.0, 2.0, 15.0, 4.5), 10, 10) is None
        True
    """
    left, top = round(max(box[0], 0.0), 3), round(max(box[1], 0.0), 3)
    right, bottom = round(min(box[2], float(width)), 3), round(min(box[3], float(height)), 3)
    return (left, top, right, bottom) if right > left and bottom > top else None
