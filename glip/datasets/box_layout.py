"""Recognize boxes in another layout than COCO's (x, y, width, height in pixels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: So many boxes, evenly spread over the file, are checked.
_SAMPLED = 5000

#: A box leaves its image if it extends beyond it by more than this, in pixels and relatively.
_TOLERANCE = 2, 0.02


class LayoutCounter:
    """Counts boxes that leave their image, or are within 0 and 1."""

    def __init__(self) -> None:
        self.total = 0
        self._beyond = self._fractions = self._corners = 0
        self._example = self._fraction = ""

    @property
    def only_fractions(self) -> bool:
        """Whether all boxes are within 0 and 1."""
        return self.total > 0 and self._fractions == self.total

    def add(self, box: Sequence[float], width: int, height: int, name: Any) -> None:
        """Count a box.

        Args:
            box: x, y, width and height.
            width: Width of the image in pixels, 0 if unknown.
            height: Height of the image in pixels, 0 if unknown.
            name: Names the box in messages.
        """
        left, top, wide, high = box
        self.total += 1
        if 0 <= left <= 1 and 0 <= top <= 1 and 0 < wide <= 1 and 0 < high <= 1:
            self._fractions += 1
            self._fraction = self._fraction or f"{list(box)} ({str(name)[:60]})"
        if left >= width or top >= height:  # also of unknown size
            return
        self._corners += left < wide <= width and top < high <= height
        right_limit = width * (1 + _TOLERANCE[1]) + _TOLERANCE[0]
        bottom_limit = height * (1 + _TOLERANCE[1]) + _TOLERANCE[0]
        if left + wide > right_limit or top + high > bottom_limit:
            self._beyond += 1
            if not self._example:
                self._example = f"{list(box)} ({str(name)[:60]}) in an image of {width} x {height}"

    def message(self) -> str:
        """Return a sentence about most boxes, empty if they look as they should."""
        if self._fractions > self.total / 2:
            return (
                f"{self._fractions} of {self.total} boxes that were checked are within 0 and 1, "
                f"for example {self._fraction}: they seem to be fractions of the image; write "
                "boxes in pixels, as [x, y, width, height]."
            )
        many, all_corners = 2 * self._beyond >= self.total, self._corners == self.total
        if self._beyond and (many or (all_corners and 10 * self._beyond >= self.total)):
            return (
                f"{self._beyond} of {self.total} boxes that were checked extend beyond their "
                f"image, for example {self._example}: they seem to be corners [x1, y1, x2, y2], or "
                "of images of another size; write [x, y, width, height] in pixels."
            )
        return ""


def look_at_layout(
    images: Sequence[Mapping[str, Any]], annotations: Mapping[Any, Sequence[Mapping[str, Any]]]
) -> LayoutCounter:
    """Count a sample of the boxes of a file.

    Args:
        images: Entries with ``id``, ``width`` and ``height``, 0 if unknown.
        annotations: Annotations with ``bbox``, four finite numbers, by image id.
    """
    counter = LayoutCounter()
    step = max(sum(map(len, annotations.values())) // _SAMPLED, 1)
    skip = 0
    for image in images:
        entries = annotations[image["id"]]
        if len(entries) <= skip:
            skip -= len(entries)
            continue
        chosen = entries[skip::step]
        skip += len(chosen) * step - len(entries)
        width, height = image.get("width", 0), image.get("height", 0)
        for entry in chosen:
            counter.add(entry["bbox"], width, height, f"annotation id {entry.get('id')}")
    return counter
