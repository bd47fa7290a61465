"""Generated scenes: captions are true, boxes are where the paint is, held-out pairs stay out."""

import itertools
import random

import numpy as np
import pytest
from PIL import Image

from glip.testing.shapes import (
    COLORS,
    HELD_OUT,
    PAIRS,
    SHAPES,
    Scene,
    SceneObject,
    draw_scene,
    paint,
    write_caption,
)
from glip.testing.shapes.scenes import FORMATS

NUMBERS = {"a": 1, "an": 1, "the": 1, "two": 2, "three": 3, "four": 4}


def test_every_color_and_shape_is_held_out_once():
    assert len(set(HELD_OUT)) == 8
    assert {color for color, _ in HELD_OUT} == set(COLORS)
    assert {shape for _, shape in HELD_OUT} == set(SHAPES)


def test_scenes_keep_to_the_pairs():
    rng = random.Random(0)
    seen = tuple(pair for pair in PAIRS if pair not in HELD_OUT)
    scenes = [draw_scene(rng, seen) for _ in range(300)]
    used = {item.pair for scene in scenes for item in scene.objects}
    assert used == set(seen)
    assert {(scene.width, scene.height) for scene in scenes} == {
        (round(192 * width), round(192 * height)) for width, height in FORMATS
    }
    assert all(scene.objects for scene in scenes)


@pytest.mark.parametrize("seed", range(60))
def test_phrases_are_true_of_what_they_name(seed):
    """Each phrase is read word by word, and found to fit its objects and no others."""
    rng = random.Random(seed)
    scene = draw_scene(rng)
    caption, phrases = write_caption(scene, rng)
    assert phrases
    for phrase in phrases:
        number, *words = caption[phrase.start : phrase.end].split()
        fits = {at for at, item in enumerate(scene.objects) if all(is_(item, w) for w in words)}
        assert fits == set(phrase.objects)
        assert len(fits) == NUMBERS[number] if number in NUMBERS else len(fits) > 4
    named = [at for phrase in phrases for at in phrase.objects]
    assert len(named) == len(set(named))


def is_(item: SceneObject, word: str) -> bool:
    """Whether a word is true of an object."""
    if word in ("shape", "shapes"):
        return True
    single = next((shape for shape in SHAPES if word in (shape, shape + "s", shape + "es")), word)
    return single in (item.color, item.shape, item.texture, item.size)


@pytest.mark.parametrize("relation", ["left of", "right of", "above", "below"])
def test_relations_hold(relation):
    axis, sign = {"left of": (0, 1), "right of": (0, -1), "above": (1, 1), "below": (1, -1)}[
        relation
    ]
    found = 0
    for seed in range(400):
        rng = random.Random(seed)
        scene = draw_scene(rng)
        caption, phrases = write_caption(scene, rng)
        for one, other in itertools.pairwise(phrases):
            if caption[one.end : other.start] != f" {relation} ":
                continue
            found += 1
            for a in one.objects:
                for b in other.objects:
                    ahead = scene.objects[b].center[axis] - scene.objects[a].center[axis]
                    assert sign * ahead > 0
    assert found > 5


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_are_where_the_paint_is(shape):
    """On black, the box of an object holds all bright pixels, and touches them on every side."""
    item = SceneObject("white", shape, "plain", "large", (90.0, 70.0), 60, 10.0)
    black = [Image.new("RGB", (192, 144))]
    for seed in range(5):  # some images are blurred, which spreads the edges
        image, boxes = paint(Scene(192, 144, (item,)), black, random.Random(seed))
        bright = np.asarray(image.convert("L")) > 110
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        around = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        np.testing.assert_allclose(boxes[0], around, atol=1)
