"""Joining the descriptions of image regions into captions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glip.converters.box_table import Box
from glip.datasets.odvg.records import Region

#: Descriptions whose boxes overlap more than this (IoU) go to different captions, as in MDETR's
#: data: they describe the same object, and in one caption each would be a negative of the other.
MAX_IOU = 0.5


@dataclass
class Caption:
    """A caption that is built from descriptions.

    Attributes:
        text: the caption so far.
        boxes: the boxes of each description in it.
        spans: the span ``[start, end)`` of each description in it.
    """

    text: str = ""
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    def accepts(self, phrase: str, boxes: list[Box], max_chars: int) -> bool:
        """Return whether a description fits in and overlaps no other description."""
        if self.text and len(self.text) + len(phrase) + 2 > max_chars:
            return False
        others = (other for found in self.boxes.values() for other in found)
        return not any(iou(box, other) > MAX_IOU for other in others for box in boxes)

    def add(self, phrase: str, boxes: list[Box]) -> None:
        """Append a description as a sentence."""
        self.text += f" {phrase}." if self.text else f"{phrase}."
        end = len(self.text) - 1
        self.spans[phrase] = (end - len(phrase), end)
        self.boxes[phrase] = boxes

    def regions(self) -> list[Region]:
        """Return the phrases of the caption."""
        return [
            Region(boxes, phrase, [list(self.spans[phrase])])
            for phrase, boxes in self.boxes.items()
        ]


def join_descriptions(described: Iterable[tuple[Box, str]], max_chars: int) -> list[Caption]:
    """Join the descriptions of an image's regions into captions.

    Equal descriptions are one phrase with several boxes. Each goes to the first caption that
    accepts it.

    Args:
        described: boxes (xyxy, pixels) and their descriptions.
        max_chars: maximum length of a caption of more than one description.
    """
    by_phrase: dict[str, list[Box]] = {}
    words: dict[str, str] = {}
    for box, phrase in described:
        same = words.setdefault(phrase.casefold(), phrase)
        by_phrase.setdefault(same, []).append(box)
    captions: list[Caption] = []
    for phrase, boxes in by_phrase.items():
        for caption in captions:
            if caption.accepts(phrase, boxes, max_chars):
                break
        else:
            caption = Caption()
            captions.append(caption)
        caption.add(phrase, boxes)
    return captions


def iou(first: Box, second: Box) -> float:
    """Return the IoU of two boxes (xyxy), from 0 to 1.

    Example:
        >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
        0.3333333333333333
    """
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)
