"""What is in a generated picture: coloured, textured shapes, where, and how large.

Everything here is drawn from a :class:`random.Random`, so a seed gives the same scenes everywhere.
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
#: Sides in pixels: the gaps keep what is small apart from what is not.
SIZES = {"small": (14, 21), "medium": (27, 42), "large": (52, 78)}

#: Every pair of a colour and a shape, the classes of the detection data.
PAIRS = tuple((color, shape) for color in COLORS for shape in SHAPES)
#: Pairs that are left out of the training pictures; every colour and every shape once.
HELD_OUT = tuple(
    (color, SHAPES[(3 * number + 1) % len(SHAPES)]) for number, color in enumerate(COLORS)
)

#: Longer side of pictures in pixels, if no other is wanted.
SIDE = 192
#: At least so long, that the largest shapes have room in the narrowest pictures.
MIN_SIDE = 128
#: Widths and heights of pictures as shares of it.
FORMATS = ((1, 1), (1, 5 / 6), (5 / 6, 1), (1, 3 / 4), (3 / 4, 1))
#: How often a picture has one, two, three, ... things.
_COUNTS = (6, 8, 10, 14, 16, 16, 14, 8, 5, 3)
#: So many at most, if no other number is wanted.
MAX_THINGS = len(_COUNTS)
#: A thing may hide at most this share of another one.
_HIDDEN = 0.35


@dataclass(frozen=True)
class Thing:
    """A shape in a picture.

    Attributes:
        color, shape, texture, size: keys of the tables above.
        center: x and y in pixels.
        side: of the square it fills before it is turned, in pixels.
        angle: by which it is turned, in degrees, counterclockwise.
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
    """A picture before it is painted: ``things`` from the back to the front."""

    width: int
    height: int
    things: tuple[Thing, ...]


def draw_scene(
    rng: random.Random,
    pairs: tuple[tuple[str, str], ...] = PAIRS,
    *,
    side: int = SIDE,
    max_things: int = MAX_THINGS,
) -> Scene:
    """Draw a scene of one thing or more.

    Args:
        rng: the source of chance.
        pairs: the colours and shapes that may occur.
        side: longer side of the picture, pixels, :data:`MIN_SIDE` or more; things keep their sizes.
        max_things: from 1 to ten.
    """
    width, height = (round(side * share) for share in rng.choice(FORMATS))
    things: list[Thing] = []
    counts = _COUNTS[:max_things]
    for _ in range(rng.choices(range(1, len(counts) + 1), counts)[0]):
        # Pairs come in twos and threes now and then, for captions that count.
        repeated = bool(things) and rng.random() < 0.3
        color, shape = rng.choice(things).pair if repeated else rng.choice(pairs)
        thing = _place(rng, color, shape, (width, height), things)
        if thing is not None:
            things.append(thing)
    return Scene(width, height, tuple(things))


def _place(
    rng: random.Random, color: str, shape: str, picture: tuple[int, int], others: list[Thing]
) -> Thing | None:
    """Find a place where a thing hides little of the others; none if that fails."""
    for _ in range(20):
        size = rng.choices(tuple(SIZES), (3, 4, 2))[0]
        side = rng.randint(*SIZES[size])
        margin = side * 0.6
        center = tuple(rng.uniform(margin, length - margin) for length in picture)
        if all(_hidden(center, side, other) <= _HIDDEN for other in others):
            texture = rng.choices(TEXTURES, (3, 1, 1))[0]
            return Thing(color, shape, texture, size, center, side, rng.uniform(-18, 18))
    return None


def _hidden(center: tuple[float, float], side: int, other: Thing) -> float:
    """The larger share of two squares that they have in common, by the smaller of them."""
    common = 1.0
    for mine, theirs in zip(center, other.center, strict=True):
        common *= max(0.0, min(side, other.side, (side + other.side) / 2 - abs(mine - theirs)))
    return common / min(side, other.side) ** 2


def outline(shape: str) -> tuple[list[tuple[float, float]], ...]:
    """Polygons of a shape in the unit square, y down: the first is filled, the others are holes.

    Raises:
        KeyError: there is no such shape.
    """
    return _OUTLINES[shape]


def _ellipse(
    center: tuple[float, float], radius: float, points: int = 48
) -> list[tuple[float, float]]:
    turns = [2 * math.pi * at / points for at in range(points)]
    return [
        (center[0] + radius * math.cos(turn), center[1] + radius * math.sin(turn)) for turn in turns
    ]


def _star() -> list[tuple[float, float]]:
    corners = []
    for at in range(10):
        radius, turn = (0.5, 0.21)[at % 2], math.pi * (at / 5 - 0.5)
        corners.append((0.5 + radius * math.cos(turn), 0.53 + radius * math.sin(turn)))
    return corners


def _heart() -> list[tuple[float, float]]:
    points = []
    for at in range(60):
        turn = 2 * math.pi * at / 60
        x = 16 * math.sin(turn) ** 3
        y = 13 * math.cos(turn) - 5 * math.cos(2 * turn) - 2 * math.cos(3 * turn)
        points.append((0.5 + x / 34, 0.46 - (y - math.cos(4 * turn)) / 34))
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
