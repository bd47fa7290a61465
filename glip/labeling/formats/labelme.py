"""LabelMe: ``labelme/NAME.json`` for each image, with the path of the image relative to it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from glip.labeling.formats.export import Export, image_name, scoring

#: The version of the format; LabelMe 5 and 6 read it.
_VERSION = "5.5.0"


def write_labelme(export: Export) -> list[Path]:
    """Write the files; images of tar archives are unpacked beside them.

    LabelMe keeps further keys of a shape: ``score``, ``probability`` and ``prompt``.
    """
    folder = export.files.path("labelme")
    for record, image in export.records_with_images():
        path = folder / f"{image.stem}.json"
        if isinstance(image.source, str):
            source = Path(image.source)
        else:
            source = folder / image_name(image)
            export.place_image(image, source)
        shapes = [
            dict(
                label=export.names[found["label"]],
                points=[found["bbox"][:2], found["bbox"][2:]],
                group_id=None,
                description="",
                shape_type="rectangle",
                flags={},
                mask=None,
                **scoring(found),
            )
            for found in record["detections"]
        ]
        content = dict(
            version=_VERSION,
            flags={},
            shapes=shapes,
            imagePath=Path(os.path.relpath(source, path.parent)).as_posix(),
            imageData=None,
            imageHeight=record["height"],
            imageWidth=record["width"],
            model=export.model,
        )
        text = json.dumps(content, ensure_ascii=False, indent=1)
        export.files.write(path, text.encode("utf-8", "backslashreplace"))
    return [folder]
