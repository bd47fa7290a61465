"""COCO: one file; images, categories, and annotations with ``score`` and ``prompt``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from glip.labeling.formats.export import Export, scoring
from glip.structures.export import BOX_DECIMALS


def write_coco(export: Export) -> list[Path]:
    """Write the COCO file in constant memory; ids begin with 1, for pycocotools 0 is none."""
    path = export.files.coco()
    categories = [dict(id=at, name=name) for at, name in enumerate(export.names, start=1)]
    with export.files.open(path) as file:
        info = dict(description=export.description, version=export.model)
        file.write(b'{"info":' + dump(info) + b',"licenses":[],"categories":' + dump(categories))
        file.write(b',\n"images":[')
        write_items(file, _images(export))
        file.write(b'],\n"annotations":[')
        write_items(file, _annotations(export))
        file.write(b"]}\n")
    return [path]


def _images(export: Export) -> Iterator[dict[str, Any]]:
    for image_id, record in enumerate(export.records(), start=1):
        yield dict(
            id=image_id,
            file_name=record["file_name"],
            width=record["width"],
            height=record["height"],
            **{key: record[key] for key in ("reviewed",) if key in record},
        )


def _annotations(export: Export) -> Iterator[dict[str, Any]]:
    number = 0
    for image_id, record in enumerate(export.records(), start=1):
        for found in record["detections"]:
            number += 1
            x1, y1, x2, y2 = found["bbox"]
            width, height = round(x2 - x1, BOX_DECIMALS), round(y2 - y1, BOX_DECIMALS)
            yield dict(
                id=number,
                image_id=image_id,
                category_id=found["label"] + 1,
                bbox=[x1, y1, width, height],
                area=round(width * height, BOX_DECIMALS),
                iscrowd=0,
                **scoring(found),
                **{key: found[key] for key in ("corrected",) if key in found},
            )


def write_items(file: BinaryIO, items: Iterator[dict[str, Any]]) -> None:
    """Write the items of a JSON array, a line each."""
    for at, item in enumerate(items):
        file.write((b",\n" if at else b"\n") + dump(item))


def dump(value: object) -> bytes:
    """Encode JSON in UTF-8, with escapes for lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
