"""Colours are far apart, stable, and text on them is readable."""

import itertools

import numpy as np
import pytest

from glip.visualization.palette import BLACK, WHITE, get_palette, label_color, luminance, text_color


def lab(color):
    """CIE L*a*b* of an sRGB colour under D65, where a difference of 2.3 is just visible."""
    c = np.asarray(color) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ) @ (linear)
    f = np.cbrt(xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_first_24_are_visibly_different():
    colors = [lab(color) for color in get_palette(24)]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2))
    assert nearest > 18


def test_no_color_comes_twice_among_hundreds():
    assert len(set(get_palette(300))) == 300


def test_neighbours_beyond_the_table_differ():
    colors = [lab(color) for color in get_palette(400)[24:]]
    for a, b in itertools.pairwise(colors):
        assert np.linalg.norm(a - b) > 20


@pytest.mark.parametrize("index", [0, 23, 24, 1202, 10**9, -1, np.int64(5)])
def test_every_index_has_a_color(index):
    color = label_color(index)
    assert len(color) == 3
    assert all(isinstance(channel, int) and 0 <= channel <= 255 for channel in color)
    assert label_color(index) == color


def test_a_palette_begins_like_a_longer_one():
    assert get_palette(0) == []
    assert get_palette(50)[:7] == get_palette(7)


def test_no_color_is_lost_on_black():
    assert min(luminance(color) for color in get_palette(200)) > 0.05


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        ((0, 0, 0), WHITE),
        ((255, 255, 255), BLACK),
        ((255, 255, 0), BLACK),
        ((0, 0, 255), WHITE),
        ((200, 0, 0), WHITE),
    ],
)
def test_text_color(background, expected):
    assert text_color(background) == expected


def test_text_has_contrast_on_every_color():
    for color in get_palette(200):
        low, high = sorted([luminance(color), luminance(text_color(color))])
        assert (high + 0.05) / (low + 0.05) >= 3


def test_luminance_ends():
    assert luminance(BLACK) == 0
    assert luminance(WHITE) == pytest.approx(1)
