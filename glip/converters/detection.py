"""Conversion of detection data in COCO's format: COCO, LVIS, Objects365, your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip.converters.coco_format import read_boxes, read_images
from glip.converters.conversion import Conversion, Entry
from glip.datasets.annotation_values import (
    IdMatcher,
    InvalidValueError,
    id_order,
    parse_category_name,
    parse_id,
)
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten


@dataclass(frozen=True)
class Layout:
    """Where a data set departs from COCO's format.

    Attributes:
        file_name: gives the file name of an image; None for its ``file_name``.
        category: gives the name to use for a category, from its name in the file.
        extra_keys: keys of an image that are copied to the output.
    """

    file_name: Callable[[Entry], str | None] | None = None
    category: Callable[[str], str] = str
    extra_keys: tuple[str, ...] = ()


def convert_detection(ann_file: Path, conversion: Conversion, layout: Layout) -> None:
    """Convert an annotation file in COCO's format; see ``docs/converters.md``.

    A label is the index of a category in the order of the category ids. Images without boxes are
    kept.

    Args:
        ann_file: the annotation file.
        conversion: the output.
        layout: where the data set departs from COCO's format.

    Raises:
        DataError: another label map exists, or two categories have the same name.
        AnnotationFileError: the annotation file cannot be used.
    """
    report = conversion.report
    table, lists = read_boxes(
        ann_file, _category_id, report, without="a category", lists=["categories"]
    )
    names = _category_names(lists["categories"], ann_file, layout.category)
    conversion.write_label_map(list(names.values()))
    labels = {category_id: label for label, category_id in enumerate(names)}
    category_ids = IdMatcher(labels)
    for image in read_images(ann_file, table, conversion, layout.file_name):
        image_id = image.entry["id"]
        instances = []
        for box, category_id in conversion.clip_boxes(image, table.boxes_of(image_id)):
            found = category_ids.find(category_id)
            if found is None:
                example = f"id {str(category_id)[:40]}"
                report.exclude("box", "of categories not in the file", example)
            else:
                instances.append((box, labels[found], names[found]))
        extra = {
            key: _known_ids(image.entry[key], category_ids)
            for key in layout.extra_keys
            if key in image.entry
        }
        conversion.write_detection(image, instances, {"img_id": image_id, **extra})
    report.check_not_empty(ann_file)


def _known_ids(value: Any, category_ids: IdMatcher) -> Any:
    """Return a list of category ids as the file's categories write them."""
    if not isinstance(value, list):
        return value
    found = map(category_ids.find, value)
    return [key if match is None else match for key, match in zip(value, found, strict=True)]


def _category_id(annotation: Entry) -> int | str | float | None:
    try:
        return parse_id(annotation.get("category_id"))
    except InvalidValueError:
        return None


def _category_names(
    categories: list[Entry], path: Path, rename: Callable[[str], str]
) -> dict[int | str | float, str]:
    """Return the name of each category id, in the order of the ids: numbers, then texts."""
    names: dict[int | str | float, str] = {}
    for category in categories:
        try:
            category_id = parse_id(category.get("id"))
            name = rename(parse_category_name(category.get("name")))
        except InvalidValueError:
            raise AnnotationFileError(
                f"'{path}' has a category without 'id' and 'name': {shorten(category)}"
            ) from None
        if names.setdefault(category_id, name) != name:
            raise AnnotationFileError(
                f"'{path}' has two categories with the id {shorten(category_id)}, "
                f"{shorten(names[category_id])} and {shorten(name)}; give each its own id."
            )
    if not names:
        raise AnnotationFileError(f"'{path}' has no categories: expected detection data.")
    return {key: names[key] for key in sorted(names, key=id_order)}
