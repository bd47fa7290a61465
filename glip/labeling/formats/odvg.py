"""ODVG detection records, for training with this library, and their label map."""

from __future__ import annotations

import json
from pathlib import Path

from glip.datasets.odvg.records import check_record, detection_record
from glip.datasets.odvg.writing import to_json_line
from glip.labeling.formats.export import Export, scoring


def write_odvg(export: Export) -> list[Path]:
    """Write ``odvg.jsonl``, instances with scores and prompts, and ``label_map.json``."""
    path, map_path = export.files.path("odvg.jsonl"), export.files.path("label_map.json")
    with export.files.open(path) as file:
        for record in export.records():
            line = detection_record(
                filename=record["file_name"],
                height=record["height"],
                width=record["width"],
                instances=[
                    (found["bbox"], found["label"], export.names[found["label"]])
                    for found in record["detections"]
                ],
                extra=dict(model=export.model),
            )
            instances = line["detection"]["instances"]
            for instance, found in zip(instances, record["detections"], strict=True):
                instance.update(scoring(found))
            check_record(line)
            file.write(to_json_line(line))
    content = {str(label): name for label, name in enumerate(export.names)}
    export.files.write(map_path, json.dumps(content, ensure_ascii=False, indent=0).encode())
    return [path, map_path]
