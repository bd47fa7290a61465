"""What can be wrong with a line of an ODVG file: all of the format's rules, each in one place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf, isfinite
from typing import NamedTuple

#: A line has exactly one of these.
KINDS = ("detection", "grounding")


class Problem(NamedTuple):
    """What is wrong with a line: a short text to count by, and what stands there."""

    reason: str
    detail: str


def find_problems(line: object, *, num_labels: int | None = None) -> Iterator[Problem]:
    """Go through all that is wrong with a line; for the arguments see ``check_record``."""
    if not isinstance(line, dict):
        yield Problem("no JSON object", short(line))
        return
    yield from _text_problems(line, "filename")
    size = []
    for key in ("height", "width"):
        if _is_whole(line.get(key)) and line[key] > 0:
            size.append(line[key])
        else:
            yield Problem(f"'{key}' is no whole number above 0", _found(line, key))
    height, width = size if len(size) == 2 else (None, None)
    kinds = [kind for kind in KINDS if line.get(kind) is not None]
    if len(kinds) != 1:
        number = "both" if kinds else "neither"
        yield Problem(f"{number} of 'detection' and 'grounding'", f"the keys {short(list(line))}")
        return
    content = line[kinds[0]]
    if not isinstance(content, dict):
        yield Problem(f"'{kinds[0]}' is no object", short(content))
    elif kinds[0] == "detection":
        yield from _detection_problems(content, height, width, num_labels)
    else:
        yield from _grounding_problems(content, height, width)


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
            yield Problem("an instance is no object", f"{place} is {short(instance)}")
            continue
        yield from _box_problems(instance.get("bbox"), height, width, place)
        label = instance.get("label")
        if not _is_whole(label) or label < 0:
            reason = "a label is no whole number of 0 or more"
            yield Problem(reason, f"{place}: {_found(instance, 'label')}")
        elif num_labels is not None and label >= num_labels:
            detail = f"{place} has {short(label)}, and the label map {num_labels} names"
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
            yield Problem("a region is no object", f"{place} is {short(region)}")
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
        yield Problem("a box is not four finite numbers", f"{place} has {short(box)}")
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
        yield Problem("a score is no number from 0 to 1", f"{place} has {short(score)}")
    elif len(scores) != boxes:
        detail = f"{place} has {len(scores)} scores for {boxes} boxes"
        yield Problem("a region has not one score for each box", detail)


def _phrase_problems(region: dict, caption: str, place: str) -> Iterator[Problem]:
    """Check where a phrase, which is a text, stands in the caption."""
    phrase, spans = region["phrase"], region.get("tokens_positive")
    if spans is None:
        found = len(occurrences(phrase, caption))
        if found != 1:
            often = "more than once" if found else "not"
            detail = f"{place}: {phrase!r} in {short(caption)}; give 'tokens_positive'"
            yield Problem(f"a phrase is {often} in the caption", detail)
    elif not isinstance(spans, list) or not spans or not all(map(_is_span, spans)):
        detail = f"{place} has {short(spans)}"
        yield Problem("'tokens_positive' is no list of spans [start, end]", detail)
    elif not all(0 <= start < end <= len(caption) for start, end in spans):
        detail = f"{place} has {short(spans)}, and the caption {len(caption)} characters"
        yield Problem("a span is empty or outside the caption", detail)
    elif not all(caption[start:end].strip() for start, end in spans):
        yield Problem("a span holds only spaces", f"{place} has {short(spans)}")
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
        yield Problem(f"'{key}' is no valid Unicode", prefix + short(text))


def occurrences(phrase: str, caption: str) -> list[list[int]]:
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


def _found(content: dict, key: str) -> str:
    return f"got {short(content[key])}" if key in content else f"there is no '{key}'"


def short(value: object) -> str:
    """Show a value in a message, the beginning of a long one."""
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits
        text = f"a huge {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
