"""Moving shapes: a video with the true boxes and ids of its objects.

The scenes are deterministic functions of the seed; the objects move straight and bounce off the
border.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from glip.testing.shapes.captions import class_name
from glip.testing.shapes.painting import Box, paint
from glip.testing.shapes.scenes import PAIRS, SIZES, Scene, SceneObject


@dataclass(frozen=True)
class MovingFrame:
    """A frame: RGB pixels (H, W, 3), and the box and class name of each object by its id."""

    image: np.ndarray
    objects: dict[int, tuple[Box, str]]


def moving_shapes(
    count: int,
    background: Image.Image,
    *,
    seed: int = 0,
    size: tuple[int, int] = (192, 144),
    num_objects: int = 4,
    speed: float = 2.0,
    pairs: Sequence[tuple[str, str]] = PAIRS,
) -> Iterator[MovingFrame]:
    """Yield the frames of a video.

    Args:
        count: number of frames.
        background: a photograph behind all frames.
        seed: of the objects and their motion.
        size: width and height in pixels.
        num_objects: number of objects; each stays in all frames, and later ones cover earlier ones.
        speed: largest motion of an object, in pixels per frame and axis.
        pairs: pairs of a colour and a shape that may occur.
    """
    rng = random.Random(seed)
    objects, motions = [], []
    for _ in range(num_objects):
        side = rng.randint(*SIZES["medium"])
        center = (rng.uniform(side, size[0] - side), rng.uniform(side, size[1] - side))
        color, shape = rng.choice(pairs)
        angle = rng.uniform(-18, 18)
        objects.append(SceneObject(color, shape, "plain", "medium", center, side, angle))
        motions.append([rng.uniform(-speed, speed) for _ in range(2)])
    for _ in range(count):
        # The same seed for each frame: neither background nor colours flicker.
        image, boxes = paint(Scene(*size, tuple(objects)), [background], random.Random(seed))
        named = zip(boxes, (class_name(each.pair) for each in objects), strict=True)
        yield MovingFrame(np.asarray(image), dict(enumerate(named, 1)))
        objects = [_moved(*each, size) for each in zip(objects, motions, strict=True)]


def _moved(item: SceneObject, motion: list[float], size: tuple[int, int]) -> SceneObject:
    """Move an object; ``motion`` turns where it meets the border."""
    center = []
    for axis, length in enumerate(size):
        margin = item.side * 0.6
        if not margin <= item.center[axis] + motion[axis] <= length - margin:
            motion[axis] = -motion[axis]
        center.append(item.center[axis] + motion[axis])
    return replace(item, center=(center[0], center[1]))
