"""The slices cover the image, overlap, and have one size."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.slicing import Slicing, slice_windows
from glip.utils.errors import ConfigError


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    size=st.integers(256, 1500),
    overlap=st.floats(0, 0.9),
)
def test_slices_cover_the_image(height, width, size, overlap):
    windows = slice_windows(height, width, Slicing(size=size, overlap=overlap))
    if max(height, width) <= size:
        assert not windows
        return
    shapes = {(window.y2 - window.y1, window.x2 - window.x1) for window in windows}
    assert shapes == {(min(height, size), min(width, size))}
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in windows:
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        covered[y1:y2, x1:x2] = True
    assert covered.all()
    assert len(set(windows)) == len(windows)
    columns = sorted({(window.x1, window.x2) for window in windows})
    for (_, end), (start, _) in pairwise(columns):
        assert end - start >= int(size * overlap)


def test_a_small_object_is_whole_in_a_slice():
    windows = slice_windows(1000, 1000, Slicing(size=400, overlap=0.25))
    for x in range(0, 901, 7):
        assert any(window.x1 <= x and x + 100 <= window.x2 for window in windows)


@pytest.mark.parametrize(
    "options",
    [
        dict(size=0),
        dict(size=255),
        dict(size=256.5),
        dict(size=True),
        dict(size="640"),
        dict(overlap=-0.1),
        dict(overlap=1),
        dict(overlap=float("nan")),
        dict(batch_size=0),
        dict(merge="soft"),
        dict(iou_threshold=1.5),
        dict(iou_threshold=None),
    ],
)
def test_invalid_options(options):
    with pytest.raises(ConfigError, match="expected"):
        Slicing(**options)
