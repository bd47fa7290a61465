"""A finished labeling run, made by hand: images, detections and awkward names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from glip.labeling.files import OutputFiles
from glip.labeling.formats.export import Export, write_format
from glip.labeling.image_list import ImageList

NAMES = ["red star", "</script><img src=x onerror=\"document.title='hit'\">"]
#: Of each image: size, boxes (xyxy), labels and scores; the second has none.
IMAGES = {
    "a.jpg": ((64, 48), [([4.25, 6, 20.5, 30], 0, 0.91), ([30, 8, 64, 40], 1, 0.52)]),
    "b.png": ((40, 60), []),
    "sub/c d.jpg": ((50, 50), [([0, 0, 50, 50], 0, 0.61)]),
}
#: Boxes below the threshold, which no format has.
PROPOSALS = {"b.png": [([5, 6, 25.5, 45], 1, 0.4)]}


def _entries(found) -> list[dict]:
    return [dict(bbox=box, label=label, score=score, prompt="star") for box, label, score in found]


def make_export(folder: Path, names=NAMES) -> Export:
    """Write images and detections below a folder, and return the run."""
    images = folder / "images"
    for name, ((width, height), _) in IMAGES.items():
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(width)
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / name)
    listed = ImageList(images, recursive=True)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    lines = []
    for each in (listed[index] for index in range(len(listed))):
        (width, height), found = IMAGES[each.file_name]
        lines.append(
            dict(
                file_name=each.file_name,
                stem=each.stem,
                width=width,
                height=height,
                detections=_entries(found),
                proposals=_entries(PROPOSALS.get(each.file_name, ())),
            )
        )
    (out / "detections.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Export(OutputFiles.at(out), list(names), "nano 1a2b3c4d", listed)


def write_all(folder: Path, *formats: str, names=NAMES) -> Export:
    """Write formats of the run of :func:`make_export`."""
    export = make_export(folder, names)
    for name in formats:
        write_format(name, export)
    return export
