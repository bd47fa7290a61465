"""Flips: the image and its boxes stay together, in both conventions for a box."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import RandomFlip as MMCVRandomFlip

from glip.datasets.transforms import RandomFlip, RandomFlipInclusive
from glip.registry import TRANSFORMS

DIRECTIONS = ["horizontal", "vertical", "diagonal"]


def draw_box(height, width, box, inclusive):
    """An image that is white in the box; continuous boxes end before x2, inclusive ones on it."""
    x1, y1, x2, y2 = box
    last = 1 if inclusive else 0
    image = np.zeros((height, width, 3), np.uint8)
    image[y1 : y2 + last, x1 : x2 + last] = 255
    return image


@st.composite
def boxes_in_images(draw):
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    x1, y1 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x2, y2 = draw(st.integers(x1, width - 1)), draw(st.integers(y1, height - 1))
    return height, width, (x1, y1, x2, y2)  # inclusive


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@settings(deadline=None)
@given(boxes_in_images())
def test_flipped_box_is_where_its_pixels_are(inclusive, direction, case):
    height, width, box = case
    if not inclusive:
        box = (box[0], box[1], box[2] + 1, box[3] + 1)
    image = draw_box(height, width, box, inclusive)
    flip = RandomFlip(prob=1.0, direction=direction, inclusive=inclusive)
    results = flip({"img": image, "gt_bboxes": np.array([box], np.float32)})
    flipped = results["gt_bboxes"][0]
    assert results["gt_bboxes"].dtype == np.float32
    redrawn = draw_box(height, width, flipped.astype(int), inclusive)
    np.testing.assert_array_equal(results["img"], redrawn)


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_flip_is_an_involution(inclusive, direction):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    boxes = np.array([[0, 1, 4, 2.5], [3.25, 0, 6, 4]], dtype=np.float32)
    flip = RandomFlip(prob=1.0, direction=direction, inclusive=inclusive)
    once = flip({"img": image, "gt_bboxes": boxes})
    assert not np.array_equal(once["img"], image)
    twice = flip(dict(once))
    np.testing.assert_array_equal(twice["img"], image)
    np.testing.assert_allclose(twice["gt_bboxes"], boxes)


def test_formulas():
    """Width 10: continuous x' = 10 - x, inclusive (official) x' = 10 - 1 - x."""
    results = {"img": np.zeros((4, 10, 3), np.uint8), "gt_bboxes": np.array([[1.0, 0, 3, 2]])}
    np.testing.assert_array_equal(RandomFlip(prob=1.0)(dict(results))["gt_bboxes"], [[7, 0, 9, 2]])
    np.testing.assert_array_equal(
        RandomFlipInclusive(prob=1.0)(dict(results))["gt_bboxes"], [[6, 0, 8, 2]]
    )


@pytest.mark.parametrize(
    ("name", "kind", "inclusive"),
    [("RandomFlip", RandomFlip, False), ("RandomFlip_GLIP", RandomFlipInclusive, True)],
)
def test_registered(name, kind, inclusive):
    flip = TRANSFORMS.build({"type": name, "prob": 0.5})
    assert type(flip) is kind
    assert isinstance(flip, MMCVRandomFlip)
    assert flip.inclusive is inclusive
    assert f"inclusive={inclusive}" in repr(flip)


@pytest.mark.parametrize("prob", [1, 1.0])
def test_records_a_flip(prob):
    results = RandomFlip(prob=prob)({"img": np.zeros((2, 3, 3), np.uint8)})
    assert results["flip"] is True
    assert results["flip_direction"] == "horizontal"
    assert "gt_bboxes" not in results


def test_records_no_flip():
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    results = RandomFlip(prob=0)({"img": image})
    assert results["flip"] is False
    assert results["flip_direction"] is None
    assert results["img"] is image


def test_flips_about_half_of_the_time():
    flip = RandomFlipInclusive(prob=0.5)
    np.random.seed(0)  # noqa: NPY002  (mmcv draws from the global generator)
    flips = [flip({"img": np.zeros((2, 3, 3), np.uint8)})["flip"] for _ in range(200)]
    assert 70 < sum(flips) < 130


# The words


def flipped(direction="horizontal", swap=True, **prompt):
    image = np.zeros((4, 10, 3), np.uint8)
    flip = RandomFlip(prob=1, direction=direction, swap_left_right=swap)
    return flip({"img": image, "gt_bboxes": np.array([[1.0, 0, 3, 2]]), **prompt})


CAPTION = "a dog on the left of a cat"
SPANS = [[[0, 5]], [[9, 17]], [[21, 26]]]


@pytest.mark.parametrize("direction", ["horizontal", "diagonal"])
def test_swaps_words_of_a_caption(direction):
    results = flipped(direction, text=CAPTION, tokens_positive=SPANS)
    assert results["text"] == "a dog on the right of a cat"
    assert results["tokens_positive"] == [[[0, 5]], [[9, 18]], [[22, 27]]]
    assert SPANS == [[[0, 5]], [[9, 17]], [[21, 26]]]


@pytest.mark.parametrize(
    ("direction", "swap"), [("vertical", True), ("horizontal", False), ("diagonal", False)]
)
def test_leaves_words_as_they_are(direction, swap):
    results = flipped(direction, swap, text=CAPTION, tokens_positive=SPANS)
    assert results["flip"]
    assert (results["text"], results["tokens_positive"]) == (CAPTION, SPANS)


def test_an_image_that_is_not_flipped_keeps_its_words():
    flip = RandomFlipInclusive(prob=0, swap_left_right=True)
    results = flip({"img": np.zeros((2, 3, 3), np.uint8), "text": CAPTION})
    assert results["text"] == CAPTION


@pytest.mark.parametrize("spans", [-1, None])
def test_swaps_words_of_a_whole_caption(spans):
    results = flipped(text=CAPTION, tokens_positive=spans)
    assert results["text"] == "a dog on the right of a cat"
    assert results["tokens_positive"] == spans


@pytest.mark.parametrize("kind", [tuple, list])
def test_swaps_words_of_names(kind):
    """Labels stay: the box of the left shoe is now that of the first name, a right shoe."""
    names = kind(["left_shoe", "hat", "right_shoe"])
    words = {"left_shoe": {"name": "left boot", "suffix": " on the right foot"}}
    results = flipped(text=names, caption_prompt=words, gt_bboxes_labels=np.array([0]))
    assert results["text"] == ("right_shoe", "hat", "left_shoe")
    assert results["caption_prompt"] == {
        "right_shoe": {"name": "right boot", "suffix": " on the left foot"}
    }
    assert names[0] == "left_shoe"
    assert words["left_shoe"]["name"] == "left boot"
    assert results["gt_bboxes_labels"].tolist() == [0]


def test_another_kind_of_prompt():
    with pytest.raises(TypeError, match="'text' of type int: 3"):
        flipped(text=3)


def test_no_prompt():
    assert "text" not in flipped()


SIDES = st.lists(st.sampled_from(["left", "Right", "dog", "LEFT", "rightmost", "a"]), min_size=1)


@settings(deadline=None)
@given(SIDES, st.sampled_from(DIRECTIONS))
def test_a_second_flip_undoes_the_words(words, direction):
    caption = " ".join(words)
    starts = [len(" ".join([*words[:at], ""])) for at in range(len(words))]
    spans = [[[at, at + len(word)]] for at, word in zip(starts, words, strict=True)]
    once = flipped(direction, text=caption, tokens_positive=spans)
    assert [once["text"][a:b] for ((a, b),) in once["tokens_positive"]] == once["text"].split(" ")
    again = RandomFlip(prob=1, direction=direction, swap_left_right=True)(dict(once))
    assert (again["text"], again["tokens_positive"]) == (caption, spans)


@pytest.mark.parametrize("name", ["RandomFlip", "RandomFlip_GLIP"])
def test_words_in_a_config(name):
    flip = TRANSFORMS.build({"type": name, "prob": 1, "swap_left_right": True})
    assert "swap_left_right=True" in repr(flip)
    assert not TRANSFORMS.build({"type": name, "prob": 1}).swap_left_right
