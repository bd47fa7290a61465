"""Validate ODVG records: every rule of the format, and the count of the records that break one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import NamedTuple, TypeGuard

from glip.utils.messages import shorten

#: A record has exactly one of these keys.
KINDS = ("detection", "grounding")

#: Labels and sizes are smaller.
MAX_INTEGER = 2**31


class Problem(NamedTuple):
    """What is wrong with a record.

    Attributes:
        reason: A short text without values, the same for all records with this problem.
        detail: The values of this record; may be empty.
    """

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass
class InvalidRecords:
    """The number of invalid records per reason, with the line numbers of the first ones.

    Attributes:
        counts: Number of records, per reason.
        examples: Line numbers, per reason.
        limit: How many line numbers to keep per reason.
    """

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[int]] = field(default_factory=dict)
    limit: int = 3

    def add(self, reason: str, line_number: int) -> None:
        """Count one more record."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        examples = self.examples.setdefault(reason, [])
        if len(examples) < self.limit:
            examples.append(line_number)

    @property
    def total(self) -> int:
        """The number of all invalid records."""
        return sum(self.counts.values())

    def summary(self) -> str:
        """Return the counts in one line; empty without invalid records."""
        parts = []
        for reason, count in self.counts.items():
            lines = ", ".join(map(str, self.examples[reason]))
            more = ", ..." if count > len(self.examples[reason]) else ""
            parts.append(f"{count} x {reason} (line {lines}{more})")
        return "; ".join(parts)


def find_problems(record: object, *, num_labels: int | None = None) -> Iterator[Problem]:
    """Find everything that is wrong with a record.

    Args:
        record: The parsed JSON, or a record that was built.
        num_labels: Number of labels in the label map, if it is known.
    """
    if not isinstance(record, dict):
        yield Problem("not a JSON object", f"got {shorten(record)}")
        return
    yield from _text_problems(record, "filename")
    size = []
    for key in ("height", "width"):
        if _is_integer(record.get(key)) and 0 < record[key] < MAX_INTEGER:
            size.append(record[key])
        else:
            yield Problem(f"'{key}' is not a positive integer", _actual(record, key))
    height, width = size if len(size) == 2 else (None, None)
    kinds = [kind for kind in KINDS if record.get(kind) is not None]
    if len(kinds) != 1:
        count = "both" if kinds else "neither"
        detail = f"the keys are {shorten(list(record))}"
        yield Problem(f"{count} of 'detection' and 'grounding'", detail)
        return
    content = record[kinds[0]]
    if not isinstance(content, dict):
        yield Problem(f"'{kinds[0]}' is not an object", f"got {shorten(content)}")
    elif kinds[0] == "detection":
        yield from _detection_problems(content, height, width, num_labels)
    else:
        yield from _grounding_problems(content, height, width)


def _detection_problems(
    content: dict, height: int | None, width: int | None, num_labels: int | None
) -> Iterator[Problem]:
    instances = content.get("instances")
    if not isinstance(instances, list):
        yield Problem("'instances' is not a list", _actual(content, "instances"))
        return
    for index, instance in enumerate(instances):
        place = f"instances[{index}]"
        if not isinstance(instance, dict):
            yield Problem("an instance is not an object", f"{place} is {shorten(instance)}")
            continue
        yield from _box_problems(instance.get("bbox"), height, width, place)
        label: object = instance.get("label")
        if not _is_integer(label) or label < 0:
            reason = "a label is not a non-negative integer"
            yield Problem(reason, f"{place}: {_actual(instance, 'label')}")
        elif label >= MAX_INTEGER:
            yield Problem("a label is larger than 2^31 - 1", f"{place} has {shorten(label)}")
        elif num_labels is not None and label >= num_labels:
            detail = f"{place} has {shorten(label)}, the label map has {num_labels} names"
            yield Problem("a label is not in the label map", detail)
        if instance.get("category") is not None:
            yield from _text_problems(instance, "category", place)


def _grounding_problems(content: dict, height: int | None, width: int | None) -> Iterator[Problem]:
    yield from _text_problems(content, "caption")
    caption = content.get("caption")
    regions = content.get("regions")
    if not isinstance(regions, list):
        yield Problem("'regions' is not a list", _actual(content, "regions"))
        return
    for index, region in enumerate(regions):
        place = f"regions[{index}]"
        if not isinstance(region, dict):
            yield Problem("a region is not an object", f"{place} is {shorten(region)}")
            continue
        boxes = region.get("bbox")
        if not (isinstance(boxes, list) and boxes and isinstance(boxes[0], list)):
            boxes = [boxes]
        for box in boxes:
            yield from _box_problems(box, height, width, place)
        yield from _score_problems(region.get("score"), len(boxes), place)
        phrase_problems = list(_text_problems(region, "phrase", place))
        yield from phrase_problems
        if not phrase_problems and isinstance(caption, str) and caption.strip():
            yield from _span_problems(region, caption, place)


def _box_problems(
    box: object, height: int | None, width: int | None, place: str
) -> Iterator[Problem]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        yield Problem("a box is not four finite numbers", f"{place} has {shorten(box)}")
        return
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        yield Problem("a box has no area", f"{place} has {box}, expected x2 > x1 and y2 > y1")
        return
    right_edge, bottom_edge = width or inf, height or inf
    if right <= 0 or bottom <= 0 or left >= right_edge or top >= bottom_edge:
        detail = f"{place} has {box}, the image is {right_edge} x {bottom_edge}"
        yield Problem("a box is outside the image", detail)


def _score_problems(score: object, num_boxes: int, place: str) -> Iterator[Problem]:
    """Validate the scores of a region; a single number is the score of all its boxes."""
    if score is None:
        return
    scores = score if isinstance(score, list) else [score] * num_boxes
    if not all(_is_number(each) and 0 <= each <= 1 for each in scores):
        yield Problem("a score is not a number from 0 to 1", f"{place} has {shorten(score)}")
    elif len(scores) != num_boxes:
        detail = f"{place} has {len(scores)} scores for {num_boxes} boxes"
        yield Problem("a region does not have one score per box", detail)


def _span_problems(region: dict, caption: str, place: str) -> Iterator[Problem]:
    """Validate the spans of a region whose phrase is valid."""
    phrase, spans = region["phrase"], region.get("tokens_positive")
    if spans is None:
        found = len(occurrences(phrase, caption))
        if found != 1:
            often = "more than once" if found else "not"
            detail = f"{place}: {phrase!r} in {shorten(caption)}; give 'tokens_positive'"
            yield Problem(f"a phrase is {often} in the caption", detail)
    elif not isinstance(spans, list) or not spans or not all(map(_is_span, spans)):
        detail = f"{place} has {shorten(spans)}"
        yield Problem("'tokens_positive' is not a list of spans [start, end]", detail)
    elif not all(0 <= start < end <= len(caption) for start, end in spans):
        detail = f"{place} has {shorten(spans)}, the caption has {len(caption)} characters"
        yield Problem("a span is empty or outside the caption", detail)
    elif not all(caption[start:end].strip() for start, end in spans):
        yield Problem("a span contains only spaces", f"{place} has {shorten(spans)}")
    else:
        words = " ".join(caption[start:end] for start, end in spans)
        if _alphanumeric(words) != _alphanumeric(phrase):
            detail = f"{place}: the phrase is {phrase!r}, the spans contain {words!r}"
            yield Problem("the spans of a phrase contain other words", detail)


def _text_problems(content: dict, key: str, place: str = "") -> Iterator[Problem]:
    text = content.get(key)
    prefix = f"{place}: " if place else ""
    if not isinstance(text, str) or not text.strip():
        yield Problem(f"'{key}' is not a non-empty string", prefix + _actual(content, key))
    elif re.search("[\ud800-\udfff]", text):
        # A lone surrogate, which neither UTF-8 nor a tokenizer can encode.
        yield Problem(f"'{key}' is not valid Unicode", prefix + shorten(text))


def occurrences(phrase: str, caption: str) -> list[list[int]]:
    """Return the spans ``[start, end)`` of a phrase as whole words, in any letter case."""
    pattern = rf"(?<!\w){re.escape(phrase)}(?!\w)"
    return [list(match.span()) for match in re.finditer(pattern, caption, re.IGNORECASE)]


def _alphanumeric(text: str) -> str:
    """Return what is compared of a phrase: no letter case, spaces or punctuation."""
    return "".join(filter(str.isalnum, text.casefold()))


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    try:
        return (_is_integer(value) or isinstance(value, float)) and isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def _is_span(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_integer, value))


def _actual(content: dict, key: str) -> str:
    return f"got {shorten(content[key])}" if key in content else f"'{key}' is missing"
