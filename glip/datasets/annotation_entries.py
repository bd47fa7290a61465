"""Read the lists of a COCO-style file: images, categories and annotations.

Entries are normalized in place. What is noticed goes to a ``Notes`` object
(:class:`glip.datasets.annotation_file.Notes`), which counts, raises or collects it.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from glip.datasets.annotation_values import (
    NO_CATEGORY,
    IdMatcher,
    InvalidValueError,
    is_plain_box,
    parse_box,
    parse_category_name,
    parse_flag,
    parse_id,
    parse_side,
)
from glip.utils.messages import shorten

Entry = dict[str, Any]

#: LVIS's lists of category ids in an image.
_FEDERATED_KEYS = ("neg_category_ids", "not_exhaustive_category_ids")


class NotesLike(Protocol):
    """What takes notes; see :class:`glip.datasets.annotation_file.Notes`."""

    path: str

    def skip(self, kind: str, index: int, entry: Any, reason: str) -> None:
        """Note an entry, or a part of it, that is not used."""

    def repair(self, kind: str, index: int, entry: Any, what: str) -> None:
        """Note a value in an unusual form that has one meaning."""

    def reject(self, kind: str, index: int, entry: Any, message: str) -> None:
        """Note an entry that must be a mistake."""


def read_images(entries: list[Any], notes: NotesLike) -> list[Entry]:
    """Read the images; ``width`` and ``height``, where given, become integers, 0 if unknown."""
    images = _unique_entries(entries, "images", notes)
    for index, image in images:
        for key in ("width", "height"):
            value = image.get(key)
            if type(value) is int and 0 < value < 100_000:
                continue
            if key in image:
                image[key] = _read_side(index, image, key, notes)
    return [image for _, image in images]


def read_categories(entries: list[Any], notes: NotesLike) -> list[Entry]:
    """Read the categories; ``name`` becomes a text, None if it is invalid."""
    categories = _unique_entries(entries, "categories", notes)
    for index, category in categories:
        name = category.get("name")
        try:
            category["name"] = parse_category_name(name)
        except InvalidValueError as error:
            notes.skip("categories", index, category, error.reason)
            category["name"] = None
            continue
        if not isinstance(name, str):
            notes.repair("categories", index, category, "a name that is a number")
    return [category for _, category in categories]


def read_annotations(
    entries: list[Any], images: list[Entry], categories: list[Entry], notes: NotesLike
) -> dict[Any, list[Entry]]:
    """Read the annotations; return those that can be used, by image id.

    ``image_id`` and ``category_id`` become the ids of the entries that they refer to.
    """
    annotations: dict[Any, list[Entry]] = {image["id"]: [] for image in images}
    image_ids = IdMatcher(annotations)
    category_ids = IdMatcher(category["id"] for category in categories)
    known_categories = {category["id"] for category in categories}
    for image_index, image in enumerate(images):
        if any(key in image for key in _FEDERATED_KEYS):
            _read_federated(image_index, image, category_ids, notes)
    known: dict[Any, Entry] = {}
    without_id: list[Entry] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            notes.skip("annotations", index, entry, "that are not objects")
            continue
        key = entry.get("id")
        if type(key) is int or type(key) is str:
            first = known.setdefault(key, entry)
            if first is not entry:
                _note_duplicate("annotations", index, first, entry, notes)
                continue
        else:
            without_id.append(entry)
            notes.repair("annotations", index, entry, "an id that is not a number or a text")
        try:
            changed = normalize_annotation(entry)
        except InvalidValueError as error:
            notes.skip("annotations", index, entry, error.reason)
            continue
        image_id = entry.get("image_id")
        if type(image_id) is not int or image_id not in annotations:
            found = image_ids.find(image_id)
            if found is None:
                notes.skip("annotations", index, entry, _unknown("image", image_id))
                continue
            if type(found) is not type(image_id):
                changed.append("an image_id of another type than the image's id")
            image_id = entry["image_id"] = found
        category_id = entry.get("category_id")
        if (
            known_categories
            and category_id is not None
            and (type(category_id) is not int or category_id not in known_categories)
        ):
            found = category_ids.find(category_id)
            if found is None:
                notes.skip("annotations", index, entry, _unknown("category", category_id))
                continue
            if type(found) is not type(category_id):
                changed.append("a category_id of another type than the category's id")
            entry["category_id"] = found
        annotations[image_id].append(entry)
        for what in changed:
            notes.repair("annotations", index, entry, what)
    _number(without_id, known)
    return annotations


def normalize_annotation(entry: Entry) -> list[str]:
    """Normalize the box and the flags of an annotation, in place.

    Returns:
        What was in an unusual form.

    Raises:
        InvalidValueError: the annotation cannot be used.
    """
    changed = []
    box = entry.get("bbox")
    if not is_plain_box(box):
        entry["bbox"] = parse_box(entry)
        if box is None or box == [] or box == "":
            changed.append("a polygon without a box")
        else:
            changed.append("a box that is not a list of four numbers")
    for key in ("iscrowd", "ignore"):
        value = entry.get(key, 0)
        if type(value) is not int or not 0 <= value <= 1:
            entry[key] = parse_flag(value, key)
            if isinstance(value, str):
                changed.append(f"an '{key}' that is a text")
    return changed


def category_problem(entry: Entry, category_ids: Any) -> str | None:
    """Return why the category of a detection annotation cannot be used; None if it can."""
    category_id = entry.get("category_id")
    if category_id is None:
        return NO_CATEGORY
    return None if category_id in category_ids else _unknown("category", category_id)


def _unknown(what: str, value: Any) -> str:
    """Return why an annotation is skipped whose image or category was not found."""
    if value is None or (isinstance(value, (int, str)) and not isinstance(value, bool)):
        plural = "images" if what == "image" else "categories"
        return f"of {plural} that are not in the file"
    article = "an" if what == "image" else "a"
    return f"with {article} '{what}_id' that is neither a number nor a text"


def _read_side(index: int, image: Entry, key: str, notes: NotesLike) -> int:
    value = image[key]
    try:
        side = parse_side(value)
    except InvalidValueError:
        notes.skip("images", index, image, f"with a '{key}' that is not a positive integer")
        return 0
    if type(value) is not int or value <= 0:
        notes.repair("images", index, image, f"a '{key}' that is not a positive integer")
    return side


def _read_federated(index: int, image: Entry, category_ids: IdMatcher, notes: NotesLike) -> None:
    """Replace the category ids in LVIS's lists by those of the file, in place."""
    for key in _FEDERATED_KEYS:
        values = image.get(key, [])
        if not isinstance(values, list):
            notes.reject(
                "images",
                index,
                image,
                f"the image with id {shorten(image['id'])} in '{notes.path}' has "
                f"{shorten(values)} as its '{key}': expected a list of category ids.",
            )
            continue
        found = [category_ids.find(value) for value in values]
        if None in found:
            notes.skip("images", index, image, f"with unknown categories in '{key}'")
            found = [value for value in found if value is not None]
        elif found == values:
            continue
        else:
            notes.repair("images", index, image, f"'{key}' of another type than the categories")
        image[key] = found


def _unique_entries(entries: list[Any], kind: str, notes: NotesLike) -> list[tuple[int, Entry]]:
    """Return the entries with their positions, each id once; normalize the ids, in place."""
    known: dict[Any, tuple[int, Entry]] = {}
    for index, entry in enumerate(entries):
        try:
            key = entry["id"] if isinstance(entry, dict) else None
        except KeyError:
            key = None
        if type(key) is not int:
            try:
                entry_id = parse_id(key)
            except InvalidValueError:
                message = (
                    f"'{notes.path}' has an entry without an id among its {kind}: "
                    f"{shorten_entry(entry)}. Give it a number or a text as its id."
                )
                notes.reject(kind, index, entry, message)
                continue
            if entry_id is not key:
                notes.repair(kind, index, entry, "an id that is not an integer or a text")
                key = entry["id"] = entry_id
        _, first = known.setdefault(key, (index, entry))
        if first is not entry:
            _note_duplicate(kind, index, first, entry, notes)
    return list(known.values())


def _note_duplicate(kind: str, index: int, first: Entry, entry: Entry, notes: NotesLike) -> None:
    """Note an entry whose id another one has too."""
    if _equal(first, entry):
        notes.skip(kind, index, entry, "that occur twice")
        return
    message = (
        f"'{notes.path}' has two different {kind} with the id {shorten(entry['id'])}: "
        f"{shorten_entry(first)} and {shorten_entry(entry)}. Give each an id of its own."
    )
    notes.reject(kind, index, entry, message)


def _number(without_id: list[Entry], known: dict[Any, Entry]) -> None:
    """Give ids to the annotations that have none, in place."""
    start = max((key for key in known if isinstance(key, int) and key > 0), default=0) + 1
    for key, entry in enumerate(without_id, start):
        entry["id"] = key


def name_entry(index: int, entry: Any) -> str:
    """Return the id of an entry for messages, or its position if it has none."""
    key = entry.get("id") if isinstance(entry, dict) else None
    if type(key) is int or (isinstance(key, str) and key.isprintable()):
        return f"id {key if isinstance(key, str) else shorten(key, 40)}"[:40]
    return f"number {index}"


def _equal(first: Entry, second: Entry) -> bool:
    """Return whether two entries have the same JSON, in which NaN equals NaN."""
    try:
        return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    except RecursionError:
        return False


def shorten_entry(entry: Any) -> str:
    """Return an entry for a message, without its polygons."""
    if isinstance(entry, dict):
        entry = {key: value for key, value in entry.items() if key != "segmentation"}
    try:
        text = json.dumps(entry)
    except (RecursionError, ValueError):
        return shorten(entry)
    return text if len(text) <= 160 else text[:157] + "..."
