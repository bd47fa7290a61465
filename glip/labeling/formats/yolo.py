"""YOLO: ``labels/NAME.txt`` beside ``images/``, and ``data.yaml``."""

from __future__ import annotations

from pathlib import Path

import yaml

from glip.labeling.formats.export import Export, image_name


def write_yolo(export: Export) -> list[Path]:
    """Write a line ``class x y w h`` for each box, normalized, and a file for each image.

    The format has no place for scores. The images are linked into ``images``, where trainers look
    for them.
    """
    files = export.files
    for record, image in export.records_with_images():
        lines = []
        for found in record["detections"]:
            x1, y1, x2, y2 = found["bbox"]
            width, height = record["width"], record["height"]
            center = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height)
            size = ((x2 - x1) / width, (y2 - y1) / height)
            lines.append(" ".join([str(found["label"]), *(f"{v:.6f}" for v in (*center, *size))]))
        content = "".join(line + "\n" for line in lines)
        files.write(files.path("labels") / f"{image.stem}.txt", content.encode())
        export.place_image(image, files.path("images") / image_name(image))
    path = files.path("data.yaml")
    data = dict(
        path=str(files.folder.resolve()),
        train=files.path("images").name,
        val=files.path("images").name,
        names=dict(enumerate(export.names)),
    )
    head = f"# labels of {export.model}, not reviewed; split train and val before training\n"
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    files.write(path, (head + text).encode("utf-8", "backslashreplace"))
    return [path]
