"""Label Studio: ``tasks.json`` with predictions, and ``labeling_config.xml``."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from glip.labeling.formats.coco import write_items
from glip.labeling.formats.export import Export


def write_labelstudio(export: Export) -> list[Path]:
    """Write the tasks in constant memory, and the configuration that they need.

    A prediction's score is the smallest of its boxes, so that Label Studio's order by score shows
    doubtful images first.
    """
    tasks, config = export.files.path("tasks.json"), export.files.path("labeling_config.xml")
    with export.files.open(tasks) as file:
        file.write(b"[")
        write_items(file, _tasks(export))
        file.write(b"\n]\n")
    view = ET.Element("View")
    ET.SubElement(view, "Image", name="image", value="$image")
    labels = ET.SubElement(view, "RectangleLabels", name="label", toName="image")
    for name in export.names:
        ET.SubElement(labels, "Label", value=name)
    ET.indent(view)
    export.files.write(config, ET.tostring(view, "utf-8") + b"\n")
    return [tasks, config]


def _tasks(export: Export) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(export.records(), start=1):
        name = record["file_name"].encode("utf-8", "surrogateescape")
        width, height = record["width"], record["height"]
        results = []
        for at, found in enumerate(record["detections"]):
            x1, y1, x2, y2 = found["bbox"]
            value = dict(
                x=100 * x1 / width,
                y=100 * y1 / height,
                width=100 * (x2 - x1) / width,
                height=100 * (y2 - y1) / height,
                rotation=0,
                rectanglelabels=[export.names[found["label"]]],
            )
            result = dict(
                id=f"{number}-{at}",
                from_name="label",
                to_name="image",
                type="rectanglelabels",
                original_width=width,
                original_height=height,
                image_rotation=0,
                value=value,
            )
            if "score" in found:
                result |= dict(score=found["score"], meta=dict(text=[found["prompt"]]))
            results.append(result)
        scores = [found["score"] for found in record["detections"] if "score" in found]
        yield dict(
            data=dict(image=export.image_prefix + quote(name)),
            predictions=[
                dict(model_version=export.model, score=min(scores, default=0.0), result=results)
            ],
        )
