"""Draw boxes and their tags on an image with Pillow.

K boxes, xyxy in pixels, on an image of H x W pixels. A tag is the filled, rounded label of a box.
All boxes are drawn before all tags, so that no outline crosses a text. The box and the tag of the
highest score are drawn last, on top; tags are placed in descending order of the scores. If not all
have room, all become smaller, then those without a place shorter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from glip.visualization.fonts import TextFont, load_font
from glip.visualization.palette import RGB, label_color, text_color
from glip.visualization.placement import Rect, place_tags
from glip.visualization.style import DrawStyle

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_MAX_TAG_EMS = 18  # maximum width of a tag in font sizes, unless its box is wider
_MAX_NAME = 1000  # characters of a name that are read
_SHORT_EMS = 4  # maximum width of a tag that has no place otherwise
_SMALLER = (0.85, 0.7)  # font sizes to try in turn, if not all tags have room
_MIN_FONT_SIZE = 8  # pixels; smaller text of DejaVu Sans cannot be read
_HALO = (0, 0, 0, 96)  # RGBA of a thin shade that keeps an outline visible on its own colour


def draw_detections(
    image: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    scores: Sequence[float] | np.ndarray | None = None,
    colors: Sequence[RGB] | None = None,
    *,
    style: DrawStyle | None = None,
) -> np.ndarray:
    """Draw boxes with their names and scores on a copy of an image.

    Boxes are clipped to the image; those completely outside it or not finite are skipped. If the
    image is too small for text, boxes get no tags. Calls share no state: threads may draw at once.

    Args:
        image: RGB image, uint8 (H, W, 3).
        boxes: xyxy in pixels (K, 4).
        names: K names; ``''`` for a box without a name.
        scores: K scores, written after the names; None for boxes without scores.
        colors: K RGB colours. By default each distinct name has its own.
        style: sizes, font, and what is written; by default ``DrawStyle()``.

    Returns:
        The new image, uint8 (H, W, 3).

    Raises:
        ValueError: ``image`` is not uint8 (H, W, 3), ``boxes`` is not (K, 4), or there are not K
            names, scores or colours.
    """
    boxes = _check(image, boxes, names, scores, colors)
    style = style or DrawStyle()
    if colors is None:
        index = {name: i for i, name in enumerate(dict.fromkeys(names))}
        colors = [label_color(index[name]) for name in names]
    height, width = image.shape[:2]
    line_width = style.line_width or default_sizes(height, width)[1]

    shown = [(k, rect) for k, box in enumerate(boxes) if (rect := _clip(box, width, height))]
    # Highest score first; without scores the smallest box first.
    if scores is None:
        shown.sort(key=lambda item: _area(item[1]))
    else:
        ranks = np.nan_to_num(np.asarray(scores, dtype=np.float64))
        shown.sort(key=lambda item: -ranks[item[0]])

    canvas = Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(canvas, "RGBA")
    for k, rect in reversed(shown):
        _draw_box(pen, rect, colors[k], line_width)

    written = [
        (
            "" if style.hide_labels else names[k],
            None if scores is None or style.hide_scores else scores[k],
        )
        for k, _ in shown
    ]
    font, tags = _make_tags([rect for _, rect in shown], written, (height, width), style)
    for (k, _), (text, place) in reversed(list(zip(shown, tags, strict=True))):
        if place is not None:
            _draw_tag(canvas, place, text, colors[k], font)
    return np.array(canvas)


def _make_tags(
    rects: Sequence[Rect],
    written: Sequence[tuple[str, float | None]],
    image_size: tuple[int, int],
    style: DrawStyle,
) -> tuple[TextFont, list[tuple[str, Rect | None]]]:
    """Choose the text and the place of each box's tag.

    Args:
        rects: K boxes.
        written: K names and scores.
        image_size: height and width of the image.
        style: its font and its font size.

    Returns:
        The font, and K texts with their places.
    """
    width = image_size[1]
    sizes = [style.font_size or default_sizes(*image_size)[0]]
    if style.font_size is None:
        smaller = (max(_MIN_FONT_SIZE, round(factor * sizes[0])) for factor in _SMALLER)
        sizes = list(dict.fromkeys([*sizes, *smaller]))
    for size in sizes:
        font = load_font(size, style.font)
        texts = [
            _tag_text(*each, font, min(width, max(_MAX_TAG_EMS * size, rect[2] - rect[0])))
            for rect, each in zip(rects, written, strict=True)
        ]
        places = place_tags(rects, [_tag_size(text, font) for text in texts], image_size)
        left = [at for at, place in enumerate(places) if place is None and any(written[at])]
        if not left:
            break
    for at in left:
        texts[at] = _tag_text(*written[at], font, min(width, _SHORT_EMS * size))
    found = place_tags(
        [rects[at] for at in left],
        [_tag_size(texts[at], font) for at in left],
        image_size,
        [place for place in places if place is not None],
    )
    for at, place in zip(left, found, strict=True):
        places[at] = place
    return font, list(zip(texts, places, strict=True))


def default_sizes(height: int, width: int) -> tuple[int, int]:
    """Return the font size and the line width for an image of H x W pixels, in pixels.

    Chosen by eye: 640 x 480 pixels get a font of 13 and lines of 2 pixels.
    """
    side = math.sqrt(height * width)
    font_size = max(9, round(13 * (side / 550) ** 0.85))
    return font_size, max(1, round(side / 330))


def _check(
    image: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    scores: Sequence[float] | np.ndarray | None,
    colors: Sequence[RGB] | None,
) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must be uint8 (H, W, 3) in RGB order, but got {image.dtype} {image.shape}"
        )
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes must be (K, 4) in xyxy order, but got {boxes.shape}")
    for what, values in (("names", names), ("scores", scores), ("colors", colors)):
        if values is not None and len(values) != len(boxes):
            raise ValueError(
                f"{what} must be one for each box, but got {len(values)} for {len(boxes)} boxes"
            )
    return boxes


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])


def _clip(box: np.ndarray, width: int, height: int) -> Rect | None:
    """Clip a box to the image and round it, to at least one pixel; None if it is outside."""
    if not np.isfinite(box).all():
        return None
    x1, x2 = sorted(box[[0, 2]])
    y1, y2 = sorted(box[[1, 3]])
    if x1 >= width or y1 >= height or x2 < 0 or y2 < 0:
        return None
    left, top = min(round(max(x1, 0)), width - 1), min(round(max(y1, 0)), height - 1)
    right, bottom = round(min(x2, width)), round(min(y2, height))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _draw_box(pen: ImageDraw.ImageDraw, rect: Rect, color: RGB, line_width: int) -> None:
    """Draw an outline inside the edge of a rectangle, with a shade on both sides."""
    x1, y1, x2, y2 = rect[0], rect[1], rect[2] - 1, rect[3] - 1
    shade = max(1, round(line_width / 3))
    pen.rectangle(
        (x1 - shade, y1 - shade, x2 + shade, y2 + shade), outline=_HALO, width=line_width + shade
    )
    inner = line_width + shade
    if x2 - x1 > 2 * inner and y2 - y1 > 2 * inner:
        pen.rectangle((x1, y1, x2, y2), outline=_HALO, width=inner)
    pen.rectangle((x1, y1, x2, y2), outline=(*color, 255), width=line_width)


def _padding(font: TextFont) -> tuple[int, int]:
    """Return the horizontal and the vertical padding of the text, in pixels."""
    return max(2, round(0.36 * font.size)), max(1, round(0.14 * font.size))


def _tag_size(text: str, font: TextFont) -> tuple[int, int]:
    """Return width and height of the tag of a text."""
    if not text:
        return 0, 0
    side, edge = _padding(font)
    return math.ceil(font.getlength(text)) + 2 * side, round(font.size) + 2 * edge


def _tag_text(name: str, score: float | None, font: TextFont, max_width: float) -> str:
    """Return name and score, the name shortened until its tag is at most ``max_width`` wide.

    If an ellipsis with the score is too wide, return the score alone; if that is too wide, ``''``.
    """
    name = " ".join(str(name)[:_MAX_NAME].split())  # one line
    name = "".join(character for character in name if character.isprintable())
    number = "" if score is None else f"{float(score):.2f}"

    def fits(text: str) -> bool:
        return _tag_size(text, font)[0] <= max_width

    text = f"{name} {number}".strip()
    if fits(text):
        return text
    low, high = 0, len(name)  # the length of the longest prefix that fits is in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(f"{name[:middle].rstrip()}{ELLIPSIS} {number}".strip()):
            low = middle
        else:
            high = middle
    if low > 0:
        return f"{name[:low].rstrip()}{ELLIPSIS} {number}".strip()
    return number if fits(number) else ""


def _draw_tag(canvas: Image.Image, tag: Rect, text: str, color: RGB, font: TextFont) -> None:
    width, height = tag[2] - tag[0], tag[3] - tag[1]
    side, edge = _padding(font)
    # The ascent of DejaVu Sans is 0.76 em, its descent 0.24 em.
    start = (side, edge + round(0.76 * font.size))
    tile = Image.new("RGB", (width, height), tuple(color))
    font.draw(ImageDraw.Draw(tile), start, text, text_color(color))
    canvas.paste(tile, tag[:2], _rounded_mask(width, height, max(1, round(0.25 * font.size))))


@lru_cache(maxsize=256)
def _rounded_mask(width: int, height: int, radius: int) -> Image.Image:
    """Return the opacity mask of a rectangle with anti-aliased round corners."""
    zoom = 4
    mask = Image.new("L", (width * zoom, height * zoom), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, width * zoom - 1, height * zoom - 1), radius=radius * zoom, fill=255
    )
    return mask.resize((width, height), Image.Resampling.BOX)
