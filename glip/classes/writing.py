"""Write a class file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from glip.classes.calibration import ScoreMap
from glip.classes.class_file import DEFAULT_NMS, ClassFile, LabelClass
from glip.utils.atomic_write import atomic_write


def write_class_file(path: str | Path, classes: ClassFile) -> None:
    """Write a class file atomically; :func:`glip.classes.read_class_file` reads it back.

    Raises:
        StorageError: it cannot be written.
    """
    atomic_write(path, to_yaml(classes).encode())


def to_yaml(classes: ClassFile) -> str:
    """Return the text of a class file, without values that are the default."""
    content: dict[str, Any] = {"classes": {each.name: _class(each) for each in classes.classes}}
    if classes.threshold is not None:
        content["threshold"] = classes.threshold
    if classes.nms != DEFAULT_NMS:
        content["nms"] = classes.nms
    if classes.class_agnostic:
        content["class_agnostic"] = True
    if classes.calibration is not None:
        content["calibration"] = {
            "binding": dict(classes.calibration.binding),
            "probabilities": _score_maps(classes.calibration.probabilities),
        }
        if classes.calibration.presence:
            content["calibration"]["presence"] = _score_maps(classes.calibration.presence)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _score_maps(maps: Mapping[str, ScoreMap]) -> dict[str, Any]:
    return {
        name: {"platt": list(each.platt)}
        if each.platt is not None
        else {"isotonic": [list(point) for point in each.isotonic]}
        for name, each in maps.items()
    }


def _class(each: LabelClass) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if each.prompts != (each.name,):
        content["prompts"] = list(each.prompts)
    if each.combine != LabelClass("any").combine:
        content["combine"] = each.combine
    for key in ("threshold", "max"):
        if getattr(each, key) is not None:
            content[key] = getattr(each, key)
    if each.not_:
        content["not"] = list(each.not_)
    for key in ("min_size", "max_size"):
        if getattr(each, key) is not None:
            content[key] = getattr(each, key)
    return content
