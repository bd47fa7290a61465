"""A large image of many small shapes, to test detection in slices."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from glip.testing.shapes.captions import class_name
from glip.testing.shapes.painting import load_backgrounds, paint
from glip.testing.shapes.scenes import PAIRS, SIDE, draw_scene


def make_mosaic(
    seed: int,
    rows: int,
    columns: int,
    *,
    backgrounds: Path,
    pairs: Sequence[tuple[str, str]] = PAIRS,
    side: int = SIDE,
    max_objects: int = 6,
) -> tuple[Image.Image, list[tuple[float, float, float, float]], list[str]]:
    """Paint scenes side by side.

    Args:
        seed: the image is a deterministic function of it.
        rows: number of scenes below each other.
        columns: number of scenes beside each other.
        backgrounds: folder of photographs.
        pairs: pairs of a colour and a shape that may occur.
        side: side of a scene in pixels.
        max_objects: maximum number of shapes per scene.

    Returns:
        The RGB image of ``side * columns`` x ``side * rows`` pixels, the box of each object, xyxy
        in pixels, and its class name.

    Raises:
        FileNotFoundError: there is no photograph.
    """
    photos = load_backgrounds(backgrounds)
    mosaic = Image.new("RGB", (side * columns, side * rows))
    boxes, names = [], []
    for number in range(rows * columns):
        rng = random.Random(f"{seed} {number}")
        scene = draw_scene(rng, tuple(pairs), side=side, max_objects=max_objects)
        painted, found = paint(scene, photos, rng)
        left, top = number % columns * side, number // columns * side
        mosaic.paste(painted.resize((side, side)), (left, top))
        across, down = side / scene.width, side / scene.height
        for item, (x1, y1, x2, y2) in zip(scene.objects, found, strict=True):
            box = (left + x1 * across, top + y1 * down, left + x2 * across, top + y2 * down)
            boxes.append(box)
            names.append(class_name(item.pair))
    return mosaic, boxes, names
