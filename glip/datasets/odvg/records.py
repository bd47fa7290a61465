"""ODVG records: build one, parse one, and read its fields.

A record is a JSON object with ``filename``, ``height`` and ``width`` (pixels), and one of

- ``detection``: ``{"instances": [{"bbox": [x1, y1, x2, y2], "label": 3, "category": "dog"}]}``;
- ``grounding``: ``{"caption": "a dog", "regions": [{"bbox": ..., "phrase": "a dog",
  "tokens_positive": [[0, 5]]}]}``, where ``bbox`` is one box or a list of boxes.

Boxes are continuous xyxy in pixels of the original image. ``docs/odvg.md`` describes the format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glip.datasets.json_keys import PairsHook, explain
from glip.datasets.odvg.validation import KINDS, find_problems, occurrences, shorten
from glip.utils.errors import OdvgRecordError


@dataclass(frozen=True)
class Region:
    """A phrase of a caption and its K boxes.

    Attributes:
        boxes: K boxes (x1, y1, x2, y2) in pixels.
        phrase: The words of the phrase.
        tokens_positive: Character spans ``[start, end)`` of the phrase in the caption; if empty,
            the phrase is searched for.
        scores: K scores from 0 to 1 of the model that predicted the boxes, or None.
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
    """Build a detection record, which :func:`check_record` validates.

    Args:
        filename: Path of the image, relative to the image folder.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        instances: Box (x1, y1, x2, y2), label (from 0) and category of each object.
        extra: Further keys of the record.

    Raises:
        OdvgRecordError: ``extra`` has a key of the record itself.
    """
    listed = [
        dict(bbox=list(map(_to_number, box)), label=_to_number(label), category=category)
        for box, label, category in instances
    ]
    return _record(filename, height, width, "detection", dict(instances=listed), extra)


def grounding_record(
    *,
    filename: str,
    height: int,
    width: int,
    caption: str,
    regions: Sequence[Region],
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build a grounding record, which :func:`check_record` validates.

    Args:
        filename: Path of the image, relative to the image folder.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        caption: The text that contains the phrases.
        regions: The phrases with their boxes.
        extra: Further keys of the record.

    Raises:
        OdvgRecordError: ``extra`` has a key of the record itself.
    """
    listed = []
    for region in regions:
        boxes = [list(map(_to_number, box)) for box in region.boxes]
        entry: dict[str, Any] = dict(
            bbox=boxes[0] if len(boxes) == 1 else boxes, phrase=region.phrase
        )
        if region.tokens_positive:
            entry["tokens_positive"] = [
                list(map(_to_number, span)) for span in region.tokens_positive
            ]
        if region.scores is not None:
            scores = list(map(_to_number, region.scores))
            entry["score"] = scores[0] if len(boxes) == len(scores) == 1 else scores
        listed.append(entry)
    content = dict(caption=caption, regions=listed)
    return _record(filename, height, width, "grounding", content, extra)


def parse_record(content: bytes) -> dict[str, Any]:
    """Parse the JSON of a record; its fields are not validated.

    Raises:
        OdvgRecordError: The content is not a JSON object in UTF-8, or an object in it has a key
            twice, with different values.
    """
    hook = PairsHook()
    try:
        record = json.loads(content.decode("utf-8"), object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        raise OdvgRecordError("invalid JSON", str(error)) from error
    if hook.found:
        raise OdvgRecordError("a key is there twice, keep one", explain(hook.found))
    if not isinstance(record, dict):
        raise OdvgRecordError("not a JSON object", f"got {shorten(record)}")
    return record


def check_record(record: object, *, num_labels: int | None = None) -> None:
    """Check that a record is valid.

    Args:
        record: The parsed JSON, or a record that was built.
        num_labels: Number of labels in the label map, if it is known.

    Raises:
        OdvgRecordError: The record is invalid; the message names the first problem.
    """
    for problem in find_problems(record, num_labels=num_labels):
        raise OdvgRecordError(*problem)


def boxes_of(region: Mapping[str, Any]) -> list[list[float]]:
    """Return the K boxes of a valid region, which may hold a single box unnested."""
    box = region["bbox"]
    return box if isinstance(box[0], list) else [box]


def scores_of(region: Mapping[str, Any]) -> list[float] | None:
    """Return the K scores of a valid region, or None if it has none."""
    score = region.get("score")
    if score is None or isinstance(score, list):
        return score
    return [score] * len(boxes_of(region))


def spans_of(region: Mapping[str, Any], caption: str) -> list[list[int]]:
    """Return the character spans ``[start, end)`` of a valid region."""
    return region.get("tokens_positive") or occurrences(region["phrase"], caption)


def is_visible(box: Sequence[float]) -> bool:
    """Return whether a box (xyxy, pixels) is at least one pixel wide and high."""
    return box[2] - box[0] >= 1 and box[3] - box[1] >= 1


def _record(
    filename: str, height: int, width: int, kind: str, content: dict, extra: Mapping | None
) -> dict[str, Any]:
    own = dict(filename=filename, height=_to_number(height), width=_to_number(width))
    twice = sorted({*own, *KINDS} & set(extra or ()))
    if twice:
        raise OdvgRecordError("'extra' has keys of the record itself", str(twice))
    return {**own, **(extra or {}), kind: content}


def _to_number(value: Any) -> Any:
    """Convert a scalar of numpy or torch to a Python number, which JSON can hold."""
    return value.item() if hasattr(value, "item") else value
