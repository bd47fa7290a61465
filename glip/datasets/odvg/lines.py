"""One line of an ODVG file: building it, reading it, and saying what is wrong with it.

A line is a JSON object with ``filename``, ``height`` and ``width`` (pixels), and one of

- ``detection``: ``{"instances": [{"bbox": [x1, y1, x2, y2], "label": 3, "category": "dog"}]}``;
- ``grounding``: ``{"caption": "a dog", "regions": [{"bbox": ..., "phrase": "a dog",
  "tokens_positive": [[0, 5]]}]}``, where ``bbox`` is one box or a list of boxes.

Boxes are continuous xyxy in pixels of the original image. ``docs/odvg.md`` has the whole format.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

from glip.datasets.annotation_file import AnnotationFileError

_KINDS = ("detection", "grounding")


class OdvgLineError(AnnotationFileError):
    """A line is not as the format says.

    Attributes:
        reason: a short text without numbers, the same for all lines with this problem.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(_sentence(reason, detail))
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:  # a loading process sends it whole
        return type(self), (self.reason, self.detail)


class Problem(NamedTuple):
    """What is wrong with a line: a short text to count by, and what stands there."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Region:
    """A phrase of a caption and its K boxes.

    Attributes:
        boxes: K lists of x1, y1, x2, y2 in pixels.
        phrase: its words.
        tokens_positive: its spans ``[start, end)`` of characters; empty to have the phrase found.
        scores: K confidences from 0 to 1 of who drew the boxes, or None.
    """

    boxes: Sequence[Sequence[float]]
    phrase: str
    tokens_positive: Sequence[Sequence[int]]
    scores: Sequence[float] | None = None


def detection_line(
    *,
    filename: str,
    height: int,
    width: int,
    instances: Sequence[tuple[Sequence[float], int, str]],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a detection line; :func:`check_line` says whether it is a good one.

    Args:
        filename: of the image, relative to the folder of the images.
        height: of the image in pixels.
        width: of the image in pixels.
        instances: box (x1, y1, x2, y2), label (from 0) and category of each object.
        extra: more keys of the line.

    Raises:
        OdvgLineError: ``extra`` has a key that the line has itself.
    """
    listed = [
        dict(bbox=list(map(_plain, box)), label=_plain(label), category=category)
        for box, label, category in instances
    ]
    return _line(filename, height, width, "detection", dict(instances=listed), extra)


def grounding_line(
    *,
    filename: str,
    height: int,
    width: int,
    caption: str,
    regions: Sequence[Region],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a grounding line; :func:`check_line` says whether it is a good one.

    Args:
        filename: of the image, relative to the folder of the images.
        height: of the image in pixels.
        width: of the image in pixels.
        caption: what the phrases are spans of.
        regions: the phrases with their boxes.
        extra: more keys of the line.

    Raises:
        OdvgLineError: ``extra`` has a key that the line has itself.
    """
    content = dict(caption=caption, regions=[_region(each) for each in regions])
    return _line(filename, height, width, "grounding", content, extra)


def parse_line(content: bytes) -> dict[str, Any]:
    """Read the JSON of a line, whose fields are not checked here.

    Raises:
        OdvgLineError: it is no JSON object in UTF-8.
    """
    try:
        line = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise OdvgLineError("no valid JSON", str(error)) from error
    if not isinstance(line, dict):
        raise OdvgLineError("no JSON object", _short(line))
    return line


def check_line(line: object, *, num_labels: int | None = None) -> None:
    """See to it that a line is as the format says.

    Args:
        line: what was read from JSON, or built.
        num_labels: how many labels the label map has, if it is known.

    Raises:
        OdvgLineError: it is not; the message names the first problem.
    """
    for problem in find_problems(line, num_labels=num_labels):
        raise OdvgLineError(*problem)


def problems_of(line: object, *, num_labels: int | None = None) -> list[str]:
    """Say all that is wrong with a line, a sentence each; see :func:`check_line`."""
    return [_sentence(*problem) for problem in find_problems(line, num_labels=num_labels)]


def find_problems(line: object, *, num_labels: int | None = None) -> Iterator[Problem]:
    """Go through all that is wrong with a line; see :func:`check_line`."""
    if not isinstance(line, dict):
        yield Problem("no JSON object", _short(line))
        return
    yield from _text_problems(line, "filename")
    size = []
    for key in ("height", "width"):
        if _is_whole(line.get(key)) and line[key] > 0:
            size.append(line[key])
        else:
            yield Problem(f"'{key}' is no whole number above 0", _found(line, key))
    height, width = size if len(size) == 2 else (None, None)
    kinds = [kind for kind in _KINDS if line.get(kind) is not None]
    if len(kinds) != 1:
        number = "both" if kinds else "neither"
        yield Problem(f"{number} of 'detection' and 'grounding'", f"the keys {sorted(line)}")
        return
    content = line[kinds[0]]
    if not isinstance(content, dict):
        yield Problem(f"'{kinds[0]}' is no object", _short(content))
    elif kinds[0] == "detection":
        yield from _detection_problems(content, height, width, num_labels)
    else:
        yield from _grounding_problems(content, height, width)


def boxes_of(region: Mapping[str, Any]) -> list[list[float]]:
    """Return the K boxes of a checked line's region, which may hold one box unnested."""
    box = region["bbox"]
    return box if isinstance(box[0], list) else [box]


def scores_of(region: Mapping[str, Any]) -> list[float] | None:
    """Return the K scores of a checked line's region; None where it has none."""
    score = region.get("score")
    if score is None or isinstance(score, list):
        return score
    return [score] * len(boxes_of(region))


def spans_of(region: Mapping[str, Any], caption: str) -> list[list[int]]:
    """Return the spans ``[start, end)`` of a checked line's region."""
    return region.get("tokens_positive") or _occurrences(region["phrase"], caption)


def _detection_problems(
    content: dict, height: int | None, width: int | None, num_labels: int | None
) -> Iterator[Problem]:
    instances = content.get("instances")
    if not isinstance(instances, list):
        yield Problem("'instances' is no list", _found(content, "instances"))
        return
    for at, instance in enumerate(instances):
        place = f"instances[{at}]"
        if not isinstance(instance, dict):
            yield Problem("an instance is no object", f"{place} is {_short(instance)}")
            continue
        yield from _box_problems(instance.get("bbox"), height, width, place)
        label = instance.get("label")
        if not _is_whole(label) or label < 0:
            reason = "a label is no whole number of 0 or more"
            yield Problem(reason, f"{place}: {_found(instance, 'label')}")
        elif num_labels is not None and label >= num_labels:
            detail = f"{place} has {_short(label)}, and the label map {num_labels} names"
            yield Problem("a label is not in the label map", detail)
        if instance.get("category") is not None:
            yield from _text_problems(instance, "category", place)


def _grounding_problems(content: dict, height: int | None, width: int | None) -> Iterator[Problem]:
    yield from _text_problems(content, "caption")
    caption = content.get("caption")
    regions = content.get("regions")
    if not isinstance(regions, list):
        yield Problem("'regions' is no list", _found(content, "regions"))
        return
    for at, region in enumerate(regions):
        place = f"regions[{at}]"
        if not isinstance(region, dict):
            yield Problem("a region is no object", f"{place} is {_short(region)}")
            continue
        boxes = region.get("bbox")
        if not (isinstance(boxes, list) and boxes and isinstance(boxes[0], list)):
            boxes = [boxes]
        for box in boxes:
            yield from _box_problems(box, height, width, place)
        yield from _score_problems(region.get("score"), len(boxes), place)
        wrong = list(_text_problems(region, "phrase", place))
        yield from wrong
        if not wrong and isinstance(caption, str) and caption.strip():
            yield from _phrase_problems(region, caption, place)


def _box_problems(
    box: object, height: int | None, width: int | None, place: str
) -> Iterator[Problem]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        yield Problem("a box is not four finite numbers", f"{place} has {_short(box)}")
        return
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        detail = f"{place} has {box}, and x2 > x1 and y2 > y1 are expected"
        yield Problem("a box is without area", detail)
        return
    wide, high = width or inf, height or inf
    if right <= 0 or bottom <= 0 or left >= wide or top >= high:
        detail = f"{place} has {box}, and the image is {wide} x {high}"
        yield Problem("a box lies outside the image", detail)


def _score_problems(score: object, boxes: int, place: str) -> Iterator[Problem]:
    """Check the scores of so many boxes; one number counts for all of them."""
    if score is None:
        return
    scores = score if isinstance(score, list) else [score] * boxes
    if not all(_is_number(each) and 0 <= each <= 1 for each in scores):
        yield Problem("a score is no number from 0 to 1", f"{place} has {_short(score)}")
    elif len(scores) != boxes:
        detail = f"{place} has {len(scores)} scores for {boxes} boxes"
        yield Problem("a region has not one score for each box", detail)


def _phrase_problems(region: dict, caption: str, place: str) -> Iterator[Problem]:
    """Check where a phrase, which is a text, stands in the caption."""
    phrase, spans = region["phrase"], region.get("tokens_positive")
    if spans is None:
        found = len(_occurrences(phrase, caption))
        if found != 1:
            often = "more than once" if found else "not"
            detail = f"{place}: {phrase!r} in {_short(caption)}; give 'tokens_positive'"
            yield Problem(f"a phrase is {often} in the caption", detail)
    elif not isinstance(spans, list) or not spans or not all(map(_is_span, spans)):
        detail = f"{place} has {_short(spans)}"
        yield Problem("'tokens_positive' is no list of spans [start, end]", detail)
    elif not all(0 <= start < end <= len(caption) for start, end in spans):
        detail = f"{place} has {_short(spans)}, and the caption {len(caption)} characters"
        yield Problem("a span is empty or outside the caption", detail)
    elif not all(caption[start:end].strip() for start, end in spans):
        yield Problem("a span holds only spaces", f"{place} has {_short(spans)}")
    else:
        words = " ".join(caption[start:end] for start, end in spans)
        if _letters(words) != _letters(phrase):
            detail = f"{place}: {phrase!r}, and the caption has {words!r} there"
            yield Problem("the spans of a phrase hold other words", detail)


def _text_problems(content: dict, key: str, place: str = "") -> Iterator[Problem]:
    text = content.get(key)
    prefix = f"{place}: " if place else ""
    if not isinstance(text, str) or not text.strip():
        yield Problem(f"'{key}' is no text or is empty", prefix + _found(content, key))
    elif re.search("[\ud800-\udfff]", text):  # half a pair, which no UTF-8 and no tokenizer holds
        yield Problem(f"'{key}' is no valid Unicode", prefix + _short(text))


def _occurrences(phrase: str, caption: str) -> list[list[int]]:
    """Find a phrase as whole words, in capitals or not; its spans."""
    pattern = rf"(?<!\w){re.escape(phrase)}(?!\w)"
    return [list(match.span()) for match in re.finditer(pattern, caption, re.IGNORECASE)]


def _letters(text: str) -> str:
    """What is compared of a phrase: neither case nor spaces nor punctuation."""
    return "".join(filter(str.isalnum, text.casefold()))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    try:
        return (_is_whole(value) or isinstance(value, float)) and isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _is_span(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_whole, value))


def _region(region: Region) -> dict[str, Any]:
    boxes = [list(map(_plain, box)) for box in region.boxes]
    scores = None if region.scores is None else list(map(_plain, region.scores))
    single = len(boxes) == 1
    built: dict[str, Any] = dict(bbox=boxes[0] if single else boxes, phrase=region.phrase)
    if region.tokens_positive:
        built["tokens_positive"] = [list(map(_plain, span)) for span in region.tokens_positive]
    if scores is not None:
        built["score"] = scores[0] if single and len(scores) == 1 else scores
    return built


def _line(
    filename: str, height: int, width: int, kind: str, content: dict, extra: Mapping | None
) -> dict[str, Any]:
    own = dict(filename=filename, height=_plain(height), width=_plain(width))
    twice = sorted({*own, *_KINDS} & set(extra or ()))
    if twice:
        raise OdvgLineError("'extra' has keys of the line itself", str(twice))
    return {**own, **(extra or {}), kind: content}


def _plain(value: Any) -> Any:
    """Turn a number of numpy or torch into Python's, which JSON can hold."""
    return value.item() if hasattr(value, "item") else value


def _found(content: dict, key: str) -> str:
    return f"got {_short(content[key])}" if key in content else f"there is no '{key}'"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


def _sentence(reason: str, detail: str) -> str:
    return f"{reason} ({detail})" if detail else reason
