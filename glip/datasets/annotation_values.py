"""Parse the values of COCO-style annotations: numbers, flags, ids, sizes, boxes and names.

Labeling tools and converters write values in many forms: numbers as text, ``"0"`` as a flag, a box
as an object, a polygon without a box. The parsers here accept every form that has one meaning, and
raise :class:`InvalidValueError` for the others. Training, evaluation, browsing and converters use
them all, so that they read a file alike.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Larger coordinates, in pixels, cannot be meant; the sum of two is still an exact float.
MAX_COORDINATE = 1e9

#: Longer sides of an image, in pixels, cannot be meant.
MAX_SIDE = 10**7

NO_BOX = "without a box of four numbers"
NOT_FINITE = "with a box that is not finite"
HUGE_BOX = "with a box beyond 1e9 pixels"
FIVE_NUMBERS = "with a box of five numbers"
NO_CATEGORY = "without a category"

#: What to do about a reason for which annotations are left out, by the start of the reason.
_REMEDIES = {
    NO_BOX: "write 'bbox' as [x, y, width, height] in pixels",
    NOT_FINITE: "write 'bbox' with finite numbers",
    HUGE_BOX: "write 'bbox' as [x, y, width, height] in pixels",
    FIVE_NUMBERS: "write 'bbox' as [x, y, width, height] in pixels, without the angle",
    NO_CATEGORY: "set 'category_id' to the id of one of the file's categories",
    "with an 'iscrowd'": "set 'iscrowd' to 0 or 1",
    "with an 'ignore'": "set 'ignore' to 0 or 1",
    "with an 'image_id'": "set 'image_id' to the id of one of the file's images",
    "with a 'category_id'": "set 'category_id' to the id of one of the file's categories",
    "of images": "make 'image_id' equal to the 'id' of an image",
    "of categories that are not in": "make 'category_id' equal to the 'id' of a category",
    "of categories that are not among": "add their names to the classes of the config",
    "smaller than one pixel": "write boxes in pixels as [x, y, width, height], not as fractions of "
    "the image or as corners in another order",
    "with a negative": "write boxes as [x, y, width, height] with the top left corner first",
    "with a zero-area box": "write boxes as [x, y, width, height] with a positive width and height",
    "outside the image": "check that 'width' and 'height' of the images are those of the files, "
    "and that boxes are [x, y, width, height] in pixels",
    "that are crowds": "set 'iscrowd' and 'ignore' to 0 for objects that the model should learn",
    "not an object": "write each annotation as a JSON object with 'bbox'",
}

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?\s*", re.ASCII)
_INTEGER = re.compile(r"\s*[+-]?\d{1,4000}(\.0*)?\s*", re.ASCII)
_FALSE = frozenset(("", "0", "0.0", "false", "no", "n", "f", "off", "none", "null"))
_TRUE = frozenset(("1", "1.0", "true", "yes", "y", "t", "on"))
_PLAIN = frozenset((int, float))
_ID_TYPES = frozenset((int, float, str))

#: The keys of a box that is an object: first the sets (x, y, width, height), then the corners.
_SIZE_KEYS = (
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
)
_CORNER_KEYS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))


class InvalidValueError(ValueError):
    """A value has no meaning, or more than one.

    Attributes:
        reason: what is wrong, to be read after "annotations", the same for all of a kind.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def remedy(reason: str) -> str:
    """Return what a user can do about a reason for which annotations are left out."""
    found = (text for start, text in _REMEDIES.items() if reason.startswith(start))
    return next(found, "correct the file")


def parse_number(value: Any) -> int | float:
    """Parse a finite number, or a number as text.

    Raises:
        InvalidValueError: it is neither, or it is not finite, or beyond :data:`MAX_COORDINATE`.
    """
    if isinstance(value, str):
        if value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity"):
            raise InvalidValueError(NOT_FINITE)
        if len(value) > 100 or not _NUMBER.fullmatch(value):
            raise InvalidValueError(NO_BOX)
        number = float(value)
        value = int(number) if number.is_integer() and abs(number) < 1e15 else number
    if type(value) not in _PLAIN:
        raise InvalidValueError(NO_BOX)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValueError(NOT_FINITE)
    if abs(value) > MAX_COORDINATE:
        raise InvalidValueError(HUGE_BOX)
    return value


def is_plain_box(box: Any) -> bool:
    """Return whether a box is a list of four finite numbers, the form that COCO defines."""
    try:
        return (
            type(box) is list
            and len(box) == 4
            and _PLAIN.issuperset(map(type, box))
            and sum(map(abs, box)) <= MAX_COORDINATE
        )
    except OverflowError:  # an integer beyond the range of floats
        return False


def parse_box(entry: Mapping[str, Any]) -> list[int | float]:
    """Parse the box of an annotation.

    Accepted are four numbers, also as text, a JSON list as text, an object with ``x``, ``y``,
    ``width`` and ``height`` (or the like), and polygons in ``segmentation`` if there is no box.

    Args:
        entry: an annotation with ``bbox`` or ``segmentation``.

    Returns:
        x, y, width and height in pixels, finite; width and height may be zero or negative.

    Raises:
        InvalidValueError: the annotation has no box with one meaning.
    """
    box = entry.get("bbox")
    if is_plain_box(box):
        return box  # type: ignore[return-value]
    if isinstance(box, str) and box.strip():
        box = _split(box)
    if box is None or box == [] or box == {} or box == "":
        return _bounds(entry.get("segmentation"))
    if isinstance(box, Mapping):
        return _box_of_keys(box)
    if not isinstance(box, (list, tuple)):
        raise InvalidValueError(NO_BOX)
    if len(box) == 5:
        raise InvalidValueError(FIVE_NUMBERS)
    if len(box) != 4:
        raise InvalidValueError(NO_BOX)
    return [parse_number(each) for each in box]


def box_problem(box: Any) -> str | None:
    """Return why the box of an annotation (x, y, width, height) is invalid, None if it is valid.

    A box without area is valid (no detection can match it); a box with NaN is not.
    """
    try:
        parse_box(dict(bbox=box))
    except InvalidValueError as error:
        return error.reason
    return None


def parse_flag(value: Any, key: str) -> int:
    """Parse ``iscrowd`` or ``ignore``: 0 or 1, also as a boolean or as text.

    Raises:
        InvalidValueError: it has no clear meaning.
    """
    if value is None:
        return 0
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return int(value)
    text = value.strip().lower() if isinstance(value, str) else None
    if text in _FALSE or text in _TRUE:
        return int(text in _TRUE)
    raise InvalidValueError(f"with an '{key}' that is neither 0 nor 1")


def parse_id(value: Any, reason: str = "without an id") -> int | str | float:
    """Parse the id of an image or a category: a number or a text.

    Raises:
        InvalidValueError: it is something else, with ``reason``.
    """
    if type(value) is int or (isinstance(value, str) and value):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    raise InvalidValueError(reason)


def parse_side(value: Any) -> int:
    """Parse the width or the height of an image in pixels; 0 if it is unknown.

    Missing sizes, 0 and -1 are unknown.

    Raises:
        InvalidValueError: it is not a positive integer, also as text.
    """
    if type(value) is int and 0 < value <= MAX_SIDE:
        return value
    if value is None or (isinstance(value, str) and not value.strip()):
        return 0
    try:
        number = parse_number(value)
    except InvalidValueError:
        number = -2
    if number in (0, -1):
        return 0
    if not 0 < number <= MAX_SIDE or number != int(number):
        raise InvalidValueError("with a size that is not a positive integer")
    return int(number)


def parse_size(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Parse width and height of an image; both are 0 if either is unknown.

    Raises:
        InvalidValueError: one of them is not a positive integer.
    """
    width, height = parse_side(entry.get("width")), parse_side(entry.get("height"))
    return (width, height) if width and height else (0, 0)


def parse_category_name(value: Any) -> str:
    """Parse the name of a category: a text, or a number, which becomes a text.

    Raises:
        InvalidValueError: it is something else, is empty, or is not valid Unicode.
    """
    if type(value) in _PLAIN:
        value = str(parse_number(value))
    if not isinstance(value, str) or not value.strip() or not is_unicode(value):
        raise InvalidValueError("without a name")
    return value


def parse_area(entry: Mapping[str, Any]) -> float:
    """Parse the area of an annotation in square pixels; an invalid one becomes that of its box."""
    area = entry.get("area")
    if type(area) in _PLAIN and 0 <= area <= MAX_COORDINATE**2:  # type: ignore[operator]
        return area  # type: ignore[return-value]
    try:
        number = parse_number(area)
    except InvalidValueError:
        number = -1
    _, _, width, height = entry["bbox"]
    return number if number >= 0 else max(width, 0) * max(height, 0)


def is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates, which cannot be encoded."""
    return text.isascii() or not re.search("[\ud800-\udfff]", text)


class IdMatcher:
    """Find the entry that an annotation refers to, also if one id is a number and one a text.

    ``"7"`` and ``7`` are different ids in Python, and many exports mix them. They match if no other
    id of the file looks the same.

    Args:
        ids: the ids of the images or the categories.
    """

    def __init__(self, ids: Iterable[Any]) -> None:
        self._ids = {key: key for key in ids}
        self._others: dict[str, Any] | None = None

    def find(self, value: Any) -> Any:
        """Return the id that a value refers to, or None."""
        if type(value) not in _ID_TYPES:
            return None
        if value in self._ids:
            return self._ids[value]
        if self._others is None:
            self._others = {}
            for key in self._ids:
                look = normal_id(key)
                self._others[look] = None if look in self._others else key
        return self._others.get(normal_id(value))


def normal_id(value: Any) -> str:
    """Return what ``7``, ``"7"``, ``7.0`` and ``"007"`` have in common."""
    text = str(value).strip()
    if _INTEGER.fullmatch(text):
        return str(int(text.partition(".")[0]))
    return text


def id_order(value: Any) -> tuple[int, Any]:
    """Return a key that sorts ids: numbers first, then texts."""
    return (1, value) if isinstance(value, str) else (0, value)


def _split(text: str) -> Any:
    """Split a box that is one text: a JSON list, or numbers between commas or spaces."""
    if len(text) > 1000:
        return text
    text = text.strip()
    try:
        if text[0] in "[{(":
            return json.loads(f"[{text[1:-1]}]" if text[0] == "(" else text)
    except (ValueError, RecursionError):
        return text
    parts = text.split(",") if "," in text else text.split()
    return parts if len(parts) > 1 else text


def _box_of_keys(box: Mapping[str, Any]) -> list[int | float]:
    """Read a box that is an object."""
    sized = [keys for keys in _SIZE_KEYS if all(key in box for key in keys)]
    cornered = [keys for keys in _CORNER_KEYS if all(key in box for key in keys)]
    if len(sized) + len(cornered) != 1:
        raise InvalidValueError(NO_BOX)
    first, second, third, fourth = (parse_number(box[key]) for key in (sized or cornered)[0])
    return (
        [first, second, third, fourth] if sized else [first, second, third - first, fourth - second]
    )


def _bounds(polygons: Any) -> list[int | float]:
    """Return the box around polygons: ``[[x1, y1, x2, ...], ...]``, or one, flat or of points."""
    if not isinstance(polygons, list) or not polygons:
        raise InvalidValueError(NO_BOX)
    if not all(isinstance(each, list) for each in polygons):
        polygons = [polygons]
    elif all(isinstance(point, list) for each in polygons for point in each):
        polygons = [[value for point in each for value in point] for each in polygons]
    elif all(len(each) == 2 for each in polygons):  # the points of one polygon
        polygons = [[value for point in polygons for value in point]]
    xs, ys = [], []
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise InvalidValueError(NO_BOX)
        numbers = [parse_number(value) for value in polygon]
        xs += numbers[::2]
        ys += numbers[1::2]
    left, top = min(xs), min(ys)
    return [left, top, max(xs) - left, max(ys) - top]
