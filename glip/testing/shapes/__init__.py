"""Generated pictures of coloured shapes, which a small model learns to detect and to ground."""

from glip.testing.shapes.captions import Phrase, all_words, class_name, write_caption
from glip.testing.shapes.painting import load_backgrounds, paint
from glip.testing.shapes.scenes import (
    COLORS,
    HELD_OUT,
    MAX_THINGS,
    MIN_SIDE,
    PAIRS,
    SHAPES,
    SIDE,
    Scene,
    Thing,
    draw_scene,
)

__all__ = [
    "COLORS",
    "HELD_OUT",
    "MAX_THINGS",
    "MIN_SIDE",
    "PAIRS",
    "SHAPES",
    "SIDE",
    "Phrase",
    "Scene",
    "Thing",
    "all_words",
    "class_name",
    "draw_scene",
    "load_backgrounds",
    "paint",
    "write_caption",
]
