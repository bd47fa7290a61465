"""Scenes of coloured, textured shapes: what a generated image shows, before it is painted.

Everything is sampled with a given :class:`random.Random`, so a scene is a deterministic function of
the seed.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

COLORS = {
    "red": (214, 38, 40),
    "orange": (255, 137, 20),
    "yellow": (250, 222, 40),
    "green": (50, 165, 62),
    "blue": (38, 84, 214),
    "purple": (128, 52, 176),
    "pink": (250, 138, 188),
    "white": (244, 244, 240),
}
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart", "ring", "moon")
TEXTURES = ("plain", "striped", "dotted")
#: Ranges of the sides in pixels; the gaps between them keep the sizes distinguishable.
SIZES = {"small": (14, 21), "medium": (27, 42), "large": (52, 78)}

#: All pairs of a colour and a shape: the classes of the detection data.
PAIRS = tuple((color, shape) for color in COLORS for shape in SHAPES)
#: Pairs that the training images do not show; each colour and each shape occurs in one.
HELD_OUT = tuple(
    (color, SHAPES[(3 * number + 1) % len(SHAPES)]) for number, color in enumerate(COLORS)
)

#: Default length of the longer side of an image in pixels.
SIDE = 192
#: Minimum length of the longer side: the largest shapes fit into the narrowest images.
MIN_SIDE = 128
#: Widths and heights of images, as fractions of the longer side.
FORMATS = ((1, 1), (1, 5 / 6), (5 / 6, 1), (1, 3 / 4), (3 / 4, 1))
#: Sampling weights of one, two, three, ... objects per image.
_COUNTS = (6, 8, 10, 14, 16, 16, 14, 8, 5, 3)
#: Largest and default maximum number of objects per image.
MAX_OBJECTS = len(_COUNTS)
#: Maximum overlap of two objects, as a fraction of the smaller one.
_MAX_OVERLAP = 0.35


@dataclass(frozen=True)
class SceneObject:
    """A shape in an image.

    Attributes:
        color, shape, texture, size: keys of the tables above.
        center: x and y in pixels.
        side: side of its bounding square before rotation, in pixels.
        angle: rotation in degrees, counterclockwise.
    """

    color: str
    shape: str
    texture: str
    size: str
    center: tuple[float, float]
    side: int
    angle: float

    @property
    def pair(self) -> tuple[str, str]:
        """Colour and shape."""
        return self.color, self.shape


@dataclass(frozen=True)
class Scene:
    """The content of an image: its size in pixels, and its ``objects`` from back to front."""

    width: int
    height: int
    objects: tuple[SceneObject, ...]


def draw_scene(
    rng: random.Random,
    pairs: tuple[tuple[str, str], ...] = PAIRS,
    *,
    side: int = SIDE,
    max_objects: int = MAX_OBJECTS,
) -> Scene:
    """Sample a scene of one or more objects.

    Args:
        rng: random number generator.
        pairs: pairs of a colour and a shape that may occur.
        side: longer side of the image in pixels, at least :data:`MIN_SIDE`; the sizes of the
            objects do not depend on it.
        max_objects: maximum number of objects, from 1 to :data:`MAX_OBJECTS`.
    """
    width, height = (round(side * share) for share in rng.choice(FORMATS))
    objects: list[SceneObject] = []
    counts = _COUNTS[:max_objects]
    for _ in range(rng.choices(range(1, len(counts) + 1), counts)[0]):
        # Some pairs occur twice or more, for captions that count.
        repeated = bool(objects) and rng.random() < 0.3
        color, shape = rng.choice(objects).pair if repeated else rng.choice(pairs)
        placed = _place(rng, color, shape, (width, height), objects)
        if placed is not None:
            objects.append(placed)
    return Scene(width, height, tuple(objects))


def _place(
    rng: random.Random,
    color: str,
    shape: str,
    image_size: tuple[int, int],
    others: list[SceneObject],
) -> SceneObject | None:
    """Place an object where it overlaps the others little; return ``None`` if there is no room."""
    for _ in range(20):
        size = rng.choices(tuple(SIZES), (3, 4, 2))[0]
        side = rng.randint(*SIZES[size])
        margin = side * 0.6
        x, y = (rng.uniform(margin, length - margin) for length in image_size)
        if all(_overlap((x, y), side, other) <= _MAX_OVERLAP for other in others):
            texture = rng.choices(TEXTURES, (3, 1, 1))[0]
            angle = rng.uniform(-18, 18)
            return SceneObject(color, shape, texture, size, (x, y), side, angle)
    return None


def _overlap(center: tuple[float, float], side: int, other: SceneObject) -> float:
    """Return the intersection of two squares as a fraction of the smaller one."""
    common = 1.0
    for one, two in zip(center, other.center, strict=True):
        common *= max(0.0, min(side, other.side, (side + other.side) / 2 - abs(one - two)))
    return common / min(side, other.side) ** 2


def outline(shape: str) -> tuple[list[tuple[float, float]], ...]:
    """Return the polygons of a shape in the unit square, y down: one outline, then holes.

    Raises:
        KeyError: there is no such shape.
    """
    return _OUTLINES[shape]


def _ellipse(
    center: tuple[float, float], radius: float, points: int = 48
) -> list[tuple[float, float]]:
    angles = [2 * math.pi * at / points for at in range(points)]
    return [
        (center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle))
        for angle in angles
    ]


def _star() -> list[tuple[float, float]]:
    corners = []
    for at in range(10):
        radius, angle = (0.5, 0.21)[at % 2], math.pi * (at / 5 - 0.5)
        corners.append((0.5 + radius * math.cos(angle), 0.53 + radius * math.sin(angle)))
    return corners


def _heart() -> list[tuple[float, float]]:
    points = []
    for at in range(60):
        angle = 2 * math.pi * at / 60
        x = 16 * math.sin(angle) ** 3
        y = 13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle)
        points.append((0.5 + x / 34, 0.46 - (y - math.cos(4 * angle)) / 34))
    return points


_OUTLINES: dict[str, tuple[list[tuple[float, float]], ...]] = {
    "circle": (_ellipse((0.5, 0.5), 0.5),),
    "square": ([(0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95)],),
    "triangle": ([(0.5, 0.04), (1.0, 0.94), (0.0, 0.94)],),
    "star": (_star(),),
    "cross": (
        [
            *((0.34, 0.0), (0.66, 0.0), (0.66, 0.34), (1.0, 0.34), (1.0, 0.66), (0.66, 0.66)),
            *((0.66, 1.0), (0.34, 1.0), (0.34, 0.66), (0.0, 0.66), (0.0, 0.34), (0.34, 0.34)),
        ],
    ),
    "heart": (_heart(),),
    "ring": (_ellipse((0.5, 0.5), 0.5), _ellipse((0.5, 0.5), 0.27)),
    "moon": (_ellipse((0.5, 0.5), 0.5), _ellipse((0.72, 0.42), 0.4)),
}
