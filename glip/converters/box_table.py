"""The boxes of millions of images in compact columns, and clipping a box to its image."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]


class BoxTable:
    """Boxes, each with a value (a label, the spans of a phrase), looked up by image.

    A box takes 40 bytes however long image ids and values are, because each of those is stored
    once. Add all boxes before the first look-up.

    Example:
        >>> table = BoxTable()
        >>> table.add("a.jpg", (0.0, 0.0, 5.0, 5.0), "dog")
        >>> list(table.boxes_of("a.jpg"))
        [((0.0, 0.0, 5.0, 5.0), 'dog')]
        >>> list(table.boxes_of("b.jpg"))
        []
    """

    def __init__(self) -> None:
        self._images: dict[Hashable, int] = {}
        self._value_ids: dict[Any, int] = {}
        self._values: list[Any] = []
        self._image_of = array("i")
        self._value_of = array("i")
        self._boxes = array("d")
        # Of B boxes: their order image by image (B,), and where each of I images begins (I + 1,).
        self._index: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, image: Hashable, box: Box, value: Hashable) -> None:
        """Add a box of an image."""
        self._image_of.append(self._images.setdefault(image, len(self._images)))
        value_id = self._value_ids.setdefault(value, len(self._value_ids))
        if value_id == len(self._values):
            self._values.append(value)
        self._value_of.append(value_id)
        self._boxes.extend(box)

    def rename(self, image: Hashable, new: Hashable) -> None:
        """Give the boxes of an image another id; boxes of the new id keep theirs."""
        if new not in self._images:
            self._images[new] = self._images.pop(image)

    def boxes_of(self, image: Hashable) -> Iterator[tuple[Box, Any]]:
        """Yield the boxes of an image and their values, in the order they were added."""
        if self._index is None:
            owners = np.array(self._image_of, dtype=np.int32)
            starts = np.concatenate([[0], np.bincount(owners).cumsum()])
            self._index = np.argsort(owners, kind="stable"), starts
        order, starts = self._index
        row = self._images.get(image)
        if row is None:
            return
        for at in order[starts[row] : starts[row + 1]]:
            left, top, right, bottom = self._boxes[4 * at : 4 * at + 4]
            yield (left, top, right, bottom), self._values[self._value_of[at]]

    def counts(self) -> Iterator[tuple[Hashable, int]]:
        """Yield the images and the number of their boxes, in the order they were added."""
        counts = np.bincount(np.array(self._image_of, dtype=np.int32))
        for image, row in self._images.items():
            yield image, int(counts[row])


def clip_box(box: Box, width: int, height: int) -> Box | None:
    """Clip a box (xyxy, pixels) to its image; return None if nothing is left.

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
