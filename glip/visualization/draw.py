"""Draw boxes and their tags on an image with Pillow.

K boxes, xyxy in pixels, on an image of H x W pixels. A tag is the filled, rounded label of a box.
All boxes are drawn before all tags, so that no outline crosses a text. The box and the tag of the
highest score are drawn last, on top; tags are placed in descending order of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from glip.visualization.fonts import TextFont, load_font
from glip.visualization.palette import RGB, label_color, text_color

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
#: x1, y1, x2, y2 in whole pixels, the last two exclusive.
Rect = tuple[int, int, int, int]

_MAX_TAG_EMS = 18  # maximum width of a tag in font sizes, unless its box is wider
_MAX_NAME = 1000  # characters of a name that are read
_ROWS_AWAY = 3  # how many rows of tags may be stacked above or below a box
_HALO = (0, 0, 0, 96)  # RGBA of a thin shade that keeps an outline visible on its own colour


def draw_detections(
    image: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    scores: Sequence[float] | np.ndarray | None = None,
    colors: Sequence[RGB] | None = None,
    *,
    line_width: int | None = None,
    font_size: int | None = None,
    font: str | None = None,
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
        line_width: of the outlines, in pixels. By default it scales with the image.
        font_size: of the text, in pixels. By default it scales with the image.
        font: font file of the text. By default DejaVu Sans, and for the characters that it lacks an
            installed font.

    Returns:
        The new image, uint8 (H, W, 3).

    Raises:
        ValueError: ``image`` is not uint8 (H, W, 3), ``boxes`` is not (K, 4), or there are not K
            names, scores or colours.
    """
    boxes = _check(image, boxes, names, scores, colors)
    if colors is None:
        index = {name: i for i, name in enumerate(dict.fromkeys(names))}
        colors = [label_color(index[name]) for name in names]
    height, width = image.shape[:2]
    default_font_size, default_line_width = default_sizes(height, width)
    text_font = load_font(font_size or default_font_size, font)

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
        _draw_box(pen, rect, colors[k], line_width or default_line_width)

    texts = []
    for k, rect in shown:
        limit = min(width, max(_MAX_TAG_EMS * text_font.size, rect[2] - rect[0]))
        texts.append(_tag_text(names[k], None if scores is None else scores[k], text_font, limit))
    places = place_tags(
        [rect for _, rect in shown], [_tag_size(text, text_font) for text in texts], (height, width)
    )
    for (k, _), text, place in reversed(list(zip(shown, texts, places, strict=True))):
        if place is not None:
            _draw_tag(canvas, place, text, colors[k], text_font)
    return np.array(canvas)


def default_sizes(height: int, width: int) -> tuple[int, int]:
    """Return the font size and the line width for an image of H x W pixels, in pixels.

    Chosen by eye: 640 x 480 pixels get a font of 13 and lines of 2 pixels.
    """
    side = math.sqrt(height * width)
    font_size = max(9, round(13 * (side / 550) ** 0.85))
    return font_size, max(1, round(side / 330))


def place_tags(
    boxes: Sequence[Rect], sizes: Sequence[tuple[int, int]], image_size: tuple[int, int]
) -> list[Rect | None]:
    """Place the tag of each box, in the order of the boxes.

    A tag gets the first place that is free: above its box, inside it at the top, below it (inside
    last if the box is not much bigger than the tag), each at the left, at the right, then in
    between; then anywhere inside the box; then stacked further above or below. Tags never overlap:
    if all these places are taken, the box gets no tag.

    Args:
        boxes: K boxes within the image.
        sizes: K pairs (width, height) of the tags; (0, 0) for a box without a tag.
        image_size: height and width of the image.

    Returns:
        K places within the image; None for a tag that is empty, bigger than the image, or for
        which no place is free.
    """
    height, width = image_size
    taken = np.zeros((0, 4), dtype=np.int64)
    places: list[Rect | None] = []
    for box, (tag_w, tag_h) in zip(boxes, sizes, strict=True):
        if not 0 < tag_w <= width or not 0 < tag_h <= height:
            places.append(None)
            continue
        place = _first_free(box, (tag_w, tag_h), image_size, taken)
        places.append(place)
        if place is not None:
            taken = np.vstack([taken, place])
    return places


def _first_free(
    box: Rect, size: tuple[int, int], image_size: tuple[int, int], taken: np.ndarray
) -> Rect | None:
    for corners in _candidates(box, size, image_size):
        rects = np.concatenate([corners, corners + size], axis=1)  # (C, 4)
        # Tags are at least one pixel apart.
        low = np.maximum(rects[:, None, :2], taken[None, :, :2] - 1)
        high = np.minimum(rects[:, None, 2:], taken[None, :, 2:] + 1)
        free = ~(low < high).all(axis=2).any(axis=1)  # (C,)
        if free.any():
            return tuple(rects[free.argmax()].tolist())
    return None


def _candidates(
    box: Rect, size: tuple[int, int], image_size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yield top left corners for a tag within the image, in groups (C, 2) of equal priority."""
    (x1, y1, x2, y2), (tag_w, tag_h), (height, width) = box, size, image_size
    last_x, last_y = width - tag_w, height - tag_h
    above, below = y1 - tag_h, y2
    inside = min(y1, last_y)

    rows = [above, inside, below]
    if y2 - y1 < 2 * tag_h or x2 - x1 < tag_w:  # a tag inside would hide the box
        rows = [above, below, inside]
    rows = [y for y in rows if 0 <= y <= last_y]
    left, right = min(x1, last_x), max(0, min(x2 - tag_w, last_x))
    low, high = min(left, right), max(left, right)
    slides = [left, right, *range(low, high, max(1, tag_w // 2))]

    for x in (left, right):
        yield np.array([(x, y) for y in rows])
    yield np.array([(x, y) for x in slides for y in rows])
    lattice = [(x, y) for y in range(y1, min(y2 - tag_h, last_y) + 1, tag_h + 1) for x in slides]
    if lattice:
        yield np.array(lattice)
    away = [
        (x, y)
        for n in range(1, _ROWS_AWAY)
        for y in (above - n * (tag_h + 1), below + n * (tag_h + 1))
        for x in (left, right)
        if 0 <= y <= last_y
    ]
    if away:
        yield np.array(away)


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
