"""Boxes cut by a slice are dropped, duplicates are merged, what was added is counted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glip.slicing import Window
from glip.slicing.merging import count_added, drop_cut, is_cut, merge_by_nmm, merge_by_nms


def tensor(*boxes):
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def test_a_box_at_the_border_of_the_image_is_not_cut():
    window = Window(0, 100, 300, 400)  # of an image of 300 x 500 pixels
    boxes = tensor([0, 150, 50, 200], [250, 150, 300, 200], [50, 100, 90, 200], [9, 300, 80, 399.5])
    assert is_cut(boxes, window, 500, 300).tolist() == [False, False, True, True]
    assert not is_cut(tensor(), window, 500, 300).numel()


@pytest.mark.parametrize(
    ("score", "label", "whole", "kept"),
    [
        (0.6, 0, [90, 90, 210, 210], False),
        (0.3, 0, [90, 90, 210, 210], False),
        (0.2, 0, [90, 90, 210, 210], True),  # a doubtful box is no evidence
        (0.6, 1, [90, 90, 210, 210], True),  # another phrase
        (0.6, 0, [90, 90, 140, 210], True),  # covers too little
    ],
)
def test_a_cut_box_is_dropped_if_the_whole_object_was_found(score, label, whole, kept):
    boxes = tensor([100, 100, 200, 200], whole)
    scores = torch.tensor([0.6, score])
    labels = torch.tensor([0, label])
    keep = drop_cut(boxes, scores, labels, torch.tensor([True, False]))
    assert keep.tolist() == [kept, True]
    # two cut boxes are no evidence against each other
    assert drop_cut(boxes, scores, labels, torch.tensor([True, True])).all()


def test_nms_is_by_label():
    boxes = tensor([0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9])
    scores, labels = torch.tensor([0.5, 0.9, 0.4]), torch.tensor([0, 0, 1])
    assert merge_by_nms(boxes, scores, labels, 0.5).tolist() == [1, 2]


def test_nmm_joins_the_parts_of_a_long_object():
    boxes = tensor([0, 0, 60, 10], [50, 0, 100, 10], [30, 0, 80, 10], [30, 0, 80, 10])
    scores, labels = torch.tensor([0.5, 0.6, 0.9, 0.3]), torch.tensor([0, 0, 0, 1])
    best, merged = merge_by_nmm(boxes, scores, labels, 0.5)
    assert best.tolist() == [2, 3]
    assert merged.tolist() == [[0, 0, 100, 10], [30, 0, 80, 10]]
    best, merged = merge_by_nmm(tensor(), torch.zeros(0), torch.zeros(0, dtype=torch.int64), 0.5)
    assert len(best) == len(merged) == 0


coordinates = st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 30)] * 2)


@given(st.lists(st.tuples(coordinates, st.integers(0, 1)), max_size=12), st.floats(0.1, 0.9))
def test_nmm_by_definition(items, threshold):
    """As written for one box after the other."""
    boxes = tensor(*[[x, y, x + w, y + h] for (x, y, w, h), _ in items])
    labels = torch.tensor([label for _, label in items], dtype=torch.int64)
    scores = torch.arange(len(items), 0, -1) / 100
    left, expected = list(range(len(items))), {}
    while left:
        first, *rest = left
        group = [first]
        for other in rest:
            low = torch.maximum(boxes[first, :2], boxes[other, :2])
            high = torch.minimum(boxes[first, 2:], boxes[other, 2:])
            inside = (high - low).clamp(min=0).prod().item()
            sizes = [(boxes[i, 2:] - boxes[i, :2]).prod().item() for i in (first, other)]
            if labels[first] == labels[other] and inside / min(sizes) > threshold:
                group.append(other)
        expected[first] = torch.cat([boxes[group, :2].amin(0), boxes[group, 2:].amax(0)]).tolist()
        left = [index for index in left if index not in group]
    best, merged = merge_by_nmm(boxes, scores, labels, threshold)
    assert dict(zip(best.tolist(), merged.tolist(), strict=True)) == expected
    assert best.tolist() == sorted(best.tolist())


def test_added_detections_match_none_of_the_whole_image():
    boxes, labels = tensor([0, 0, 10, 10], [0, 0, 10, 10], [50, 0, 60, 10]), torch.tensor([0, 1, 0])
    whole, whole_labels = tensor([0, 0, 10, 9], [50, 0, 60, 4]), torch.tensor([0, 0])
    assert count_added(boxes, labels, whole, whole_labels) == 2
    assert count_added(boxes, labels, tensor(), torch.zeros(0)) == 3
    assert count_added(tensor(), torch.zeros(0), whole, whole_labels) == 0
