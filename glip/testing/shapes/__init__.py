"""Generated images of coloured shapes, to train and test a small model."""

from glip.testing.shapes.captions import (
    Phrase,
    all_words,
    class_name,
    unknown_words,
    write_caption,
)
from glip.testing.shapes.painting import load_backgrounds, paint
from glip.testing.shapes.scenes import (
    COLORS,
    HELD_OUT,
    MAX_OBJECTS,
    MIN_SIDE,
    PAIRS,
    SHAPES,
    SIDE,
    Scene,
    SceneObject,
    draw_scene,
)

__all__ = [
    "COLORS",
    "HELD_OUT",
    "MAX_OBJECTS",
    "MIN_SIDE",
    "PAIRS",
    "SHAPES",
    "SIDE",
    "Phrase",
    "Scene",
    "SceneObject",
    "all_words",
    "class_name",
    "draw_scene",
    "load_backgrounds",
    "paint",
    "unknown_words",
    "write_caption",
]
