"""Matching equals its definition, written as loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.evaluation.federated import AREA_RANGES, IOU_THRESHOLDS, match


def by_loops(ious, ignored):
    """For every threshold and detection try every object, as the definition says."""
    shape = (len(ignored), len(IOU_THRESHOLDS), len(ious))
    matched, to_ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    for area, flags in enumerate(ignored):
        for level, threshold in enumerate(IOU_THRESHOLDS):
            taken = set()
            for at, row in enumerate(ious):
                for flag in (False, True):
                    best, chosen = min(threshold, 1 - 1e-10), None
                    for other, iou in enumerate(row):
                        if flags[other] == flag and other not in taken and iou >= best:
                            best, chosen = iou, other
                    if chosen is not None:
                        taken.add(chosen)
                        matched[area, level, at], to_ignored[area, level, at] = True, flag
                        break
    return matched, to_ignored


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6))
def test_equals_the_definition(seed, detections, objects):
    rng = np.random.default_rng(seed)
    ious = rng.choice([0, 0.3, 0.5, 0.6, 0.75, 0.95, 1], (detections, objects))
    ignored = rng.random((len(AREA_RANGES), objects)) < 0.3
    for found, expected in zip(match(ious, ignored), by_loops(ious, ignored), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("ignored", [False, True])
def test_one_object_one_detection(ignored):
    matched, to_ignored = match(np.array([[0.9], [1.0]]), np.full((4, 1), ignored))
    assert matched[0, 0].tolist() == [True, False]  # the better score takes it
    assert matched[0, -1].tolist() == [False, True]
    assert to_ignored.any() == ignored
