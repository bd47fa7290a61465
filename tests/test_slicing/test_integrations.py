"""Arguments of the detectors for other libraries; tests/test_docs/test_peers.py runs them."""

from __future__ import annotations

import numpy as np
import pytest

from glip.integrations.sahi import sahi_model, to_bgr
from glip.integrations.supervision import slicer_callback
from glip.utils.errors import ConfigError


def test_channels():
    rgb = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)
    bgr = rgb[..., [2, 1, 0]]
    np.testing.assert_array_equal(to_bgr(rgb), bgr)
    np.testing.assert_array_equal(to_bgr(np.dstack([rgb, rgb[..., 0]])), bgr)
    for image in (rgb[..., 0], rgb[..., :1], rgb.transpose(2, 0, 1)):  # not mirrored
        np.testing.assert_array_equal(to_bgr(image), image)
    for value in (None, "a.jpg", 5, [rgb]):
        with pytest.raises(TypeError, match="expected an RGB array or a list of them, got"):
            to_bgr(value)


@pytest.mark.parametrize("make", [sahi_model, slicer_callback])
def test_arguments(make):
    for detector in (None, 5, "glip_tiny_a"):
        with pytest.raises(TypeError, match="expected a DetInferencer, got"):
            make(detector, "star .")
    for score_thr in (float("nan"), float("inf"), "0.5", None, [1], True):
        with pytest.raises(ConfigError, match="expected score_thr as a finite number"):
            make(print, "star .", score_thr)
