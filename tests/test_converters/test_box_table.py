"""Compact storage of boxes."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from glip.converters.box_table import BoxTable, clip_box

NUMBERS = st.floats(-1e6, 1e6)
BOXES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@given(st.lists(st.tuples(st.integers(0, 3) | st.text(max_size=1), BOXES, st.text(max_size=1))))
def test_what_goes_in_comes_out(rows):
    table, expected = BoxTable(), defaultdict(list)
    for image, box, value in rows:
        table.add(image, box, value)
        expected[image].append((box, value))
    assert dict(table.counts()) == {image: len(boxes) for image, boxes in expected.items()}
    for image in [*expected, "none such"]:
        assert list(table.boxes_of(image)) == expected.get(image, [])


@given(BOXES, st.integers(1, 500), st.integers(1, 500))
def test_clipped_boxes_are_inside(box, width, height):
    clipped = clip_box(box, width, height)
    if clipped is not None:
        left, top, right, bottom = clipped
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    else:  # at most a sliver that rounding removes
        inside_width = min(box[2], width) - max(box[0], 0)
        inside_height = min(box[3], height) - max(box[1], 0)
        assert min(inside_width, inside_height) <= 0.001
