"""Joining what is said of the regions of an image into captions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from glip.converters.box_table import Box
from glip.datasets.odvg.records import Region

#: Descriptions whose boxes overlap more than this (IoU) go to different captions, as in MDETR's
#: data: they tell of one thing, and each would be a wrong answer for the other.
OVERLAP = 0.5


@dataclass
class Caption:
    """A caption that grows by descriptions.

    Attributes:
        text: what it says so far.
        boxes: for each description in it its boxes.
        spans: and where it stands, ``[start, end)``.
    """

    text: str = ""
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)

    def takes(self, phrase: str, boxes: list[Box], longest: int) -> bool:
        """Whether a description fits: there is room, and nothing else speaks of its place."""
        if self.text and len(self.text) + len(phrase) + 2 > longest:
            return False
        others = (other for found in self.boxes.values() for other in found)
        return not any(iou(box, other) > OVERLAP for other in others for box in boxes)

    def add(self, phrase: str, boxes: list[Box]) -> None:
        """Append a description as a sentence."""
        self.text += f" {phrase}." if self.text else f"{phrase}."
        end = len(self.text) - 1
        self.spans[phrase] = (end - len(phrase), end)
        self.boxes[phrase] = boxes

    def regions(self) -> list[Region]:
        """Return its phrases."""
        return [
            Region(boxes, phrase, [list(self.spans[phrase])])
            for phrase, boxes in self.boxes.items()
        ]


def join_descriptions(described: Iterable[tuple[Box, str]], longest: int) -> list[Caption]:
    """Join the descriptions of an image's regions into captions.

    Descriptions in the same words are one phrase with several boxes. Each goes to the first caption
    that takes it.

    Args:
        described: boxes (x1, y1, x2, y2, pixels) and what is there.
        longest: how many characters a caption of more than one description may have.
    """
    by_phrase: dict[str, list[Box]] = {}
    words: dict[str, str] = {}
    for box, phrase in described:
        same = words.setdefault(phrase.casefold(), phrase)
        by_phrase.setdefault(same, []).append(box)
    captions: list[Caption] = []
    for phrase, boxes in by_phrase.items():
        for caption in captions:
            if caption.takes(phrase, boxes, longest):
                break
        else:
            caption = Caption()
            captions.append(caption)
        caption.add(phrase, boxes)
    return captions


def iou(first: Box, second: Box) -> float:
    """Return the overlap of two boxes (x1, y1, x2, y2), from 0 to 1.

    Example:
        >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
        0.3333333333333333
    """
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return wide * high / (sum(areas) - wide * high)
