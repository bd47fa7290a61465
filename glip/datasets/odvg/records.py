"""One line of an ODVG file: building it, reading it, and saying what is wrong with it.

A line is a JSON object with ``filename``, ``height`` and ``width`` (pixels), and one of

- ``detection``: ``{"instances": [{"bbox": [x1, y1, x2, y2], "label": 3, "category": "dog"}]}``;
- ``grounding``: ``{"caption": "a dog", "regions": [{"bbox": ..., "phrase": "a dog",
  "tokens_positive": [[0, 5]]}]}``, where ``bbox`` is one box or a list of boxes.

Boxes are continuous xyxy in pixels of the original image. ``docs/odvg.md`` has the whole format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glip.datasets.odvg.validation import KINDS, find_problems, occurrences, short
from glip.utils.errors import OdvgRecordError


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


def detection_record(
    *,
    filename: str,
    height: int,
    width: int,
    instances: Sequence[tuple[Sequence[float], int, str]],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a detection line; :func:`check_record` says whether it is a good one.

    Args:
        filename: of the image, relative to the folder of the images.
        height: of the image in pixels.
        width: of the image in pixels.
        instances: box (x1, y1, x2, y2), label (from 0) and category of each object.
        extra: more keys of the line.

    Raises:
        OdvgRecordError: ``extra`` has a key that the line has itself.
    """
    listed = [
        dict(bbox=list(map(_plain, box)), label=_plain(label), category=category)
        for box, label, category in instances
    ]
    return _line(filename, height, width, "detection", dict(instances=listed), extra)


def grounding_record(
    *,
    filename: str,
    height: int,
    width: int,
    caption: str,
    regions: Sequence[Region],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a grounding line; :func:`check_record` says whether it is a good one.

    Args:
        filename: of the image, relative to the folder of the images.
        height: of the image in pixels.
        width: of the image in pixels.
        caption: what the phrases are spans of.
        regions: the phrases with their boxes.
        extra: more keys of the line.

    Raises:
        OdvgRecordError: ``extra`` has a key that the line has itself.
    """
    content = dict(caption=caption, regions=[_region(each) for each in regions])
    return _line(filename, height, width, "grounding", content, extra)


def parse_record(content: bytes) -> dict[str, Any]:
    """Read the JSON of a line, whose fields are not checked here.

    Raises:
        OdvgRecordError: it is no JSON object in UTF-8.
    """
    try:
        line = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise OdvgRecordError("no valid JSON", str(error)) from error
    if not isinstance(line, dict):
        raise OdvgRecordError("no JSON object", short(line))
    return line


def check_record(line: object, *, num_labels: int | None = None) -> None:
    """See to it that a line is as the format says.

    Args:
        line: what was read from JSON, or built.
        num_labels: how many labels the label map has, if it is known.

    Raises:
        OdvgRecordError: it is not; the message names the first problem.
    """
    for problem in find_problems(line, num_labels=num_labels):
        raise OdvgRecordError(*problem)


def describe_problems(line: object, *, num_labels: int | None = None) -> list[str]:
    """Say all that is wrong with a line, a sentence each; see :func:`check_record`."""
    return [_sentence(*problem) for problem in find_problems(line, num_labels=num_labels)]


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
    return region.get("tokens_positive") or occurrences(region["phrase"], caption)


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
    twice = sorted({*own, *KINDS} & set(extra or ()))
    if twice:
        raise OdvgRecordError("'extra' has keys of the line itself", str(twice))
    return {**own, **(extra or {}), kind: content}


def _plain(value: Any) -> Any:
    """Turn a number of numpy or torch into Python's, which JSON can hold."""
    return value.item() if hasattr(value, "item") else value


def _sentence(reason: str, detail: str) -> str:
    return f"{reason} ({detail})" if detail else reason
