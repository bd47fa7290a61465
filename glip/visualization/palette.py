"""Colours of labels: the same in every image, and far from each other."""

from __future__ import annotations

import colorsys

RGB = tuple[int, int, int]

#: Chosen by hand, then moved apart until the two nearest have a distance of 0.135 in OKLab (seven
#: times a just noticeable difference). Ordered so that the first ones differ most in hue.
_BASE: tuple[RGB, ...] = (
    (238, 67, 52),  # red
    (40, 140, 249),  # azure
    (255, 185, 4),  # amber
    (34, 190, 84),  # green
    (212, 67, 229),  # magenta
    (3, 190, 209),  # cyan
    (229, 133, 9),  # orange
    (132, 84, 255),  # violet
    (168, 214, 7),  # lime
    (255, 120, 180),  # pink
    (0, 150, 132),  # teal
    (251, 242, 68),  # yellow
    (178, 24, 60),  # crimson
    (164, 207, 252),  # sky
    (158, 96, 49),  # brown
    (110, 240, 186),  # mint
    (60, 63, 208),  # indigo
    (201, 155, 255),  # lavender
    (137, 144, 29),  # olive
    (16, 112, 48),  # forest
    (229, 178, 166),  # peach
    (138, 30, 150),  # purple
    (221, 2, 136),  # raspberry
    (56, 112, 165),  # steel
)
_GOLDEN = 0.6180339887498949  # golden ratio: each new hue falls into the widest gap so far
_SHADES = ((0.85, 0.95), (0.50, 1.0), (0.75, 0.75), (0.60, 0.80))  # saturation, value

#: Colour of annotated boxes that the evaluation ignores, for example crowds.
IGNORED: RGB = (128, 128, 128)
BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)


def label_color(index: int) -> RGB:
    """Return the RGB colour of a label.

    The first 24 come from a table; later ones step around the hue circle by the golden ratio and
    cycle through four shades.

    Args:
        index: the 0-based label; of a negative integer the absolute value is used.
    """
    index = abs(int(index))
    if index < len(_BASE):
        return _BASE[index]
    step = index - len(_BASE)
    saturation, value = _SHADES[step % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(step * _GOLDEN % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def get_palette(num: int) -> list[RGB]:
    """Return the colours of labels 0 ... num - 1."""
    return [label_color(index) for index in range(num)]


def luminance(color: RGB) -> float:
    """Return the relative luminance of an sRGB colour (WCAG 2), 0 for black to 1 for white."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_color(background: RGB) -> RGB:
    """Return black or white, whichever is more readable on ``background``.

    The contrast (WCAG 2 ratio) is at least 3. The threshold is above the luminance of equal ratios
    (0.18), because white is more readable on saturated reds, blues and violets in between.
    """
    return BLACK if luminance(background) > 0.3 else WHITE
