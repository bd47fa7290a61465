"""Inclusive boxes and the filter of small ones."""

import numpy as np
import pytest

from glip.datasets.transforms import FilterAnnotations, GTBoxSubOne
from glip.registry import TRANSFORMS


def results_of(boxes):
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return {
        "gt_bboxes": boxes,
        "gt_bboxes_labels": np.arange(len(boxes)),
        "gt_ignore_flags": np.arange(len(boxes)) % 2 == 1,
    }


@pytest.mark.parametrize("name", ["GTBoxSubOne", "GTBoxSubOne_GLIP"])
def test_sub_one(name):
    transform = TRANSFORMS.build({"type": name})
    assert type(transform) is GTBoxSubOne
    assert repr(transform) == "GTBoxSubOne()"
    boxes = np.array([[0, 1, 10, 20]], dtype=np.float32)
    results = transform({"gt_bboxes": boxes})
    np.testing.assert_array_equal(results["gt_bboxes"], [[0, 1, 9, 19]])
    assert results["gt_bboxes"].dtype == np.float32
    np.testing.assert_array_equal(boxes, [[0, 1, 10, 20]])  # the input is left alone


def test_sub_one_without_boxes():
    assert GTBoxSubOne()({}) == {}
    assert GTBoxSubOne()(results_of([]))["gt_bboxes"].shape == (0, 4)


def test_filter_keeps_what_is_larger():
    boxes = [
        [0, 0, 5, 5],
        [0, 0, 1, 5],  # exactly as wide as the limit
        [0, 0, 5, 1],
        [3, 3, 3, 3],
        [2, 2, 3.5, 3.5],
        [5, 5, 2, 2],  # turned around
    ]
    results = FilterAnnotations(min_gt_bbox_wh=(1, 1))(results_of(boxes))
    np.testing.assert_array_equal(results["gt_bboxes"], np.array(boxes, np.float32)[[0, 4]])
    np.testing.assert_array_equal(results["gt_bboxes_labels"], [0, 4])
    np.testing.assert_array_equal(results["gt_ignore_flags"], [False, False])


def test_filter_limits_differ():
    results = FilterAnnotations(min_gt_bbox_wh=(2, 4))(results_of([[0, 0, 3, 5], [0, 0, 5, 3]]))
    np.testing.assert_array_equal(results["gt_bboxes_labels"], [0])


def test_filter_only_boxes():
    boxes = np.array([[0, 0, 5, 5], [0, 0, 1, 1]], dtype=np.float32)
    results = FilterAnnotations()({"gt_bboxes": boxes})
    assert set(results) == {"gt_bboxes"}
    assert results["gt_bboxes"].shape == (1, 4)


def test_nothing_left():
    tiny = [[0, 0, 1, 1]]
    assert FilterAnnotations()(results_of(tiny)) is None
    results = FilterAnnotations(keep_empty=False)(results_of(tiny))
    assert results["gt_bboxes"].shape == (0, 4)
    assert results["gt_bboxes_labels"].shape == (0,)
    assert results["gt_ignore_flags"].shape == (0,)


def test_nothing_to_begin_with():
    assert FilterAnnotations()(results_of([]))["gt_bboxes"].shape == (0, 4)


def test_by_box_only():
    with pytest.raises(ValueError, match="by_box=False"):
        FilterAnnotations(by_box=False)


def test_representation():
    assert repr(FilterAnnotations()) == "FilterAnnotations(min_gt_bbox_wh=(1, 1), keep_empty=True)"
