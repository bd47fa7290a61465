"""The values of annotations: what is read, and what is not."""

import math

import pytest

from glip.datasets.annotation_values import (
    FIVE_NUMBERS,
    HUGE_BOX,
    NO_BOX,
    NOT_FINITE,
    IdMatcher,
    InvalidValueError,
    parse_box,
    parse_category_name,
    parse_flag,
    parse_id,
    parse_side,
)

SQUARE = [10, 20, 30, 40]


@pytest.mark.parametrize(
    "box",
    [
        [10, 20, 30, 40],
        [10.0, 20, 30.0, 40],
        ["10", "20", "30", "40"],
        [" 10 ", "+20", "3e1", "40."],
        "[10, 20, 30, 40]",
        "(10, 20, 30, 40)",
        "10,20,30,40",
        "10 20 30 40",
        dict(x=10, y=20, width=30, height=40),
        dict(x="10", y="20", w="30", h="40"),
        dict(left=10, top=20, width=30, height=40),
        dict(xmin=10, ymin=20, xmax=40, ymax=60),
        dict(x1=10, y1=20, x2=40, y2=60),
    ],
)
def test_boxes(box):
    assert parse_box(dict(bbox=box)) == SQUARE


@pytest.mark.parametrize("box", [None, [], "", {}])
@pytest.mark.parametrize(
    "polygons",
    [
        [[10, 20, 40, 20, 40, 60, 10, 60]],
        [[10, 20, 40, 20, 40, 60], [10, 60, 10, 20, 12, 22]],
        [10, 20, 40, 20, 40, 60],
        [[10, 20], [40, 20], [40, 60]],
        [[[10, 20], [40, 20], [40, 60]]],
        [["10", "20", "40", "20", "40", "60"]],
    ],
)
def test_polygons_without_a_box(box, polygons):
    assert parse_box(dict(bbox=box, segmentation=polygons)) == SQUARE
    assert parse_box(dict(segmentation=polygons)) == SQUARE


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([10, 20, 30], NO_BOX),
        ([10, 20, 30, 40, 0.0], FIVE_NUMBERS),
        ([10, 20, 30, 40, 1, 2], NO_BOX),
        ([[10, 20], [30, 40]], NO_BOX),
        ([[10, 20, 30, 40]], NO_BOX),
        (["10px", 20, 30, 40], NO_BOX),
        (["1,5", 20, 30, 40], NO_BOX),
        (["1_0", 20, 30, 40], NO_BOX),
        ([True, 20, 30, 40], NO_BOX),
        ([None, 20, 30, 40], NO_BOX),
        ([math.nan, 20, 30, 40], NOT_FINITE),
        (["NaN", 20, 30, 40], NOT_FINITE),
        ([1, 2, -math.inf, 4], NOT_FINITE),
        ([10**400, 20, 30, 40], HUGE_BOX),
        ([10**400, 20.5, 30, 40], HUGE_BOX),
        ([1e300, -1e300, 30, 40], HUGE_BOX),
        (["9" * 5000, 20, 30, 40], NO_BOX),
        (dict(x=1, y=2, width=3), NO_BOX),
        (dict(x=1, y=2, width=3, height=4, w=5, h=6), NO_BOX),
        (dict(cx=1, cy=2, width=3, height=4), NO_BOX),
        ("[" * 900, NO_BOX),
        ("everywhere", NO_BOX),
        (5, NO_BOX),
        (None, NO_BOX),
    ],
)
def test_boxes_without_one_meaning(box, reason):
    with pytest.raises(InvalidValueError) as caught:
        parse_box(dict(bbox=box, segmentation=dict(counts=[1, 2], size=[3, 4])))
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [None, 0, 0.0, False, "0", "0.0", "false", "False", " no ", ""])
def test_flags_that_are_off(value):
    assert parse_flag(value, "iscrowd") == 0


@pytest.mark.parametrize("value", [1, 1.0, True, "1", "1.0", "true", "TRUE", "yes"])
def test_flags_that_are_on(value):
    assert parse_flag(value, "iscrowd") == 1


@pytest.mark.parametrize("value", [2, -1, 0.5, math.nan, "2", "maybe", [], [0], {}, 10**400])
def test_flags_without_one_meaning(value):
    with pytest.raises(InvalidValueError, match="'iscrowd' that is neither 0 nor 1"):
        parse_flag(value, "iscrowd")


@pytest.mark.parametrize(
    ("value", "side"),
    [
        (640, 640),
        (640.0, 640),
        ("640", 640),
        ("640.0", 640),
        *((unknown, 0) for unknown in (-1, 0, -1.0, "-1", "0", None, "", " ")),
    ],
)
def test_sides(value, side):
    assert parse_side(value) == side


@pytest.mark.parametrize(
    "value",
    [[640], "wide", math.nan, math.inf, 640.5, -640, 10**400, 10**9, True, {}, "640px", "9" * 5000],
)
def test_sides_that_are_none(value):
    with pytest.raises(InvalidValueError, match="not a positive integer"):
        parse_side(value)


@pytest.mark.parametrize(("value", "name"), [("car", "car"), (0, "0"), (7, "7"), (1.5, "1.5")])
def test_names(value, name):
    assert parse_category_name(value) == name


@pytest.mark.parametrize("value", [None, "", "  ", True, [], ["car"], {}, math.nan, "\ud800"])
def test_names_that_are_none(value):
    with pytest.raises(InvalidValueError):
        parse_category_name(value)


@pytest.mark.parametrize("value", [None, True, [1], {}, math.nan, math.inf, ""])
def test_ids_that_are_none(value):
    with pytest.raises(InvalidValueError):
        parse_id(value)


@pytest.mark.parametrize(
    ("ids", "value", "found"),
    [
        ([1, 2], "1", 1),
        ([1, 2], "01", 1),
        ([1, 2], " 1 ", 1),
        ([1, 2], "1.0", 1),
        ([1, 2], 1.0, 1),
        (["1", "2"], 1, "1"),
        (["001", "002"], 1, "001"),
        ([1, "1"], "1", "1"),
        ([1, "1"], 1, 1),
        (["01", "1"], 1, None),
        (["a", 2], "a", "a"),
        ([1], True, None),
        ([1], [1], None),
        ([1], None, None),
        (["nan"], math.nan, "nan"),
        ([1], 10**400, None),
        (["1" * 4500], 1, None),
    ],
)
def test_ids_are_matched_one_to_one(ids, value, found):
    result = IdMatcher(ids).find(value)
    assert result == found
    assert type(result) is type(found)
