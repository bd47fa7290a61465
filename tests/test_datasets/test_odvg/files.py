"""Generated records and shards for the tests of the data set."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from glip.datasets.odvg import (
    RecordWriter,
    Region,
    detection_record,
    grounding_record,
    write_label_map,
)

NAMES = ("cat", "dog", "traffic light")


def make_lines(count: int) -> list[dict]:
    """Detection and grounding records alternately, every third image in portrait format."""
    lines = []
    for at in range(count):
        width, height = (40, 60) if at % 3 == 0 else (60, 40)
        common = dict(filename=f"{at:05d}.png", height=height, width=width)
        box = [1.0, 2.0, 11.0 + at % 7, 22.0]
        if at % 2 == 0:
            instances = [(box, at % 3, NAMES[at % 3]), ([0, 0, 0.5, 9], 0, "cat")]
            lines.append(detection_record(**common, instances=instances))
        else:
            regions = [
                Region([box, [3, 4, 30, 30]], "a dog", [[0, 5]], [0.9, 0.4]),
                Region([[5, 5, 25, 25]], "a red sofa", []),
                Region([[6, 6, 25, 25]], "a dog", [[0, 5]], [0.2]),
            ]
            caption = "a dog on a red sofa"
            lines.append(grounding_record(**common, caption=caption, regions=regions))
    return lines


def write_lines(folder: Path, lines: Sequence[dict | str], name: str = "train.jsonl") -> Path:
    """Write records, strings unchanged, and a label map beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    good = [each for each in lines if isinstance(each, dict)]
    if len(good) == len(lines):
        with RecordWriter(folder / name) as writer:
            for line in good:
                writer.write(line)
    else:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in lines]
        (folder / name).write_text("\n".join(texts))
    write_label_map(folder / "labels.json", NAMES)
    return folder / name


def image_bytes(line: dict, number: int = 0) -> bytes:
    """The content of a PNG of the record's size, filled with its number."""
    pixels = np.full((line["height"], line["width"], 3), number % 256, dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def write_images(folder: Path, lines: Sequence[dict]) -> None:
    """Write the image of each record."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(lines):
        (folder / line["filename"]).write_bytes(image_bytes(line, number))


def write_shard(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """Write a tar file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def members_of(lines: Sequence[dict], start: int = 0) -> list[tuple[str, bytes]]:
    """The members of a shard: image and JSON of each record, in alternating order."""
    members = []
    for number, line in enumerate(lines, start):
        pair = [
            (line["filename"], image_bytes(line, number)),
            (line["filename"].replace(".png", ".json"), json.dumps(line).encode()),
        ]
        members += pair if number % 2 else pair[::-1]
    return members
