"""Place the tags of boxes on an image, so that none covers another.

K boxes and tags, and C places for a tag, on an image of H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

#: x1, y1, x2, y2 in whole pixels, the last two exclusive.
Rect = tuple[int, int, int, int]

_ROWS_AWAY = 3  # how many rows of tags may be stacked above or below a box


def place_tags(
    boxes: Sequence[Rect],
    sizes: Sequence[tuple[int, int]],
    image_size: tuple[int, int],
    taken: Sequence[Rect] = (),
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
        taken: tags that are placed already.

    Returns:
        K places within the image; None for a tag that is empty, bigger than the image, or for
        which no place is free.
    """
    height, width = image_size
    count = len(taken)
    used = np.zeros((count + len(boxes), 4), dtype=np.int64)
    used[:count] = np.array(taken, dtype=np.int64).reshape(-1, 4)
    places: list[Rect | None] = []
    for box, (tag_w, tag_h) in zip(boxes, sizes, strict=True):
        place = None
        if 0 < tag_w <= width and 0 < tag_h <= height:
            place = _first_free(box, (tag_w, tag_h), image_size, used[:count])
        places.append(place)
        if place is not None:
            used[count] = place
            count += 1
    return places


def _first_free(
    box: Rect, size: tuple[int, int], image_size: tuple[int, int], taken: np.ndarray
) -> Rect | None:
    """Return the first place that overlaps none of the (K, 4) taken ones."""
    for corners in _candidates(box, size, image_size):
        low, high = corners, corners + size  # (C, 2)
        # Tags are at least one pixel apart.
        taken_by = (
            (low[:, :1] < taken[:, 2] + 1)
            & (high[:, :1] > taken[:, 0] - 1)
            & (low[:, 1:] < taken[:, 3] + 1)
            & (high[:, 1:] > taken[:, 1] - 1)
        )  # (C, K)
        free = np.flatnonzero(~taken_by.any(axis=1))
        if len(free):
            first = free[0]
            return (*low[first].tolist(), *high[first].tolist())
    return None


def _candidates(
    box: Rect, size: tuple[int, int], image_size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Yield top left corners for a tag within the image, in groups (C, 2) by priority."""
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

    yield np.array([*((left, y) for y in rows), *((right, y) for y in rows)])
    yield np.array([(x, y) for x in slides[2:] for y in rows] or [(left, inside)])
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
