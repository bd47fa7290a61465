"""FiftyOne: ``labels.json`` of its type ``FiftyOneImageDetectionDataset``."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from glip.labeling.formats.coco import dump
from glip.labeling.formats.export import Export


def write_fiftyone(export: Export) -> list[Path]:
    """Write the labels, by file name without extension, boxes as [x, y, w, h] in 0 to 1."""
    path = export.files.path("labels.json")
    with export.files.open(path) as file:
        file.write(b'{"classes":' + dump(export.names) + b',\n"labels":{')
        for at, record in enumerate(export.records()):
            width, height = record["width"], record["height"]
            entries = []
            for found in record["detections"]:
                x1, y1, x2, y2 = found["bbox"]
                entry = dict(
                    label=export.names[found["label"]],
                    bounding_box=[
                        x1 / width,
                        y1 / height,
                        (x2 - x1) / width,
                        (y2 - y1) / height,
                    ],
                )
                if "score" in found:
                    entry["confidence"] = found["score"]
                    entry["attributes"] = dict(prompt=found["prompt"], model=export.model)
                entries.append(entry)
            key = PurePosixPath(record["file_name"]).with_suffix("").as_posix()
            file.write((b",\n" if at else b"\n") + dump(key) + b":" + dump(entries))
        file.write(b"}}\n")
    return [path]
