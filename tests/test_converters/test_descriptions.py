"""Joining descriptions into captions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from glip.converters.descriptions import MAX_IOU, iou, join_descriptions

EDGES = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20))
BOXES = EDGES.map(lambda e: (e[0], e[1], e[0] + e[2], e[1] + e[3]))
DESCRIBED = st.lists(st.tuples(BOXES, st.sampled_from(["a dog", "A dog", "a cat.", "man in red"])))


@given(DESCRIBED, st.integers(1, 60))
def test_joining(described, max_chars):
    captions = join_descriptions(described, max_chars)
    found = []
    for caption in captions:
        regions = caption.regions()
        assert len(caption.text) <= max_chars or len(regions) == 1
        for region in regions:
            ((start, end),) = region.tokens_positive
            assert caption.text[start:end] == region.phrase
            found += [(box, region.phrase.lower()) for box in region.boxes]
            others = [box for other in regions if other is not region for box in other.boxes]
            assert all(iou(box, other) <= MAX_IOU for box in region.boxes for other in others)
    assert sorted(found) == sorted((box, phrase.lower()) for box, phrase in described)


@given(BOXES, BOXES)
def test_iou(first, second):
    assert iou(first, second) == iou(second, first)
    assert 0 <= iou(first, second) <= iou(first, first) == 1
