"""Conversion of detection data in COCO's format: COCO, LVIS, Objects365, your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glip.converters.coco_format import read_boxes, read_images
from glip.converters.conversion import Conversion, Entry
from glip.utils.errors import AnnotationFileError


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
    for image in read_images(ann_file, table, conversion, layout.file_name):
        image_id = image.entry["id"]
        instances = []
        for box, category_id in conversion.clip_boxes(image, table.boxes_of(image_id)):
            if category_id in labels:
                instances.append((box, labels[category_id], names[category_id]))
            else:
                report.exclude("box", "of categories not in the file", f"id {category_id}")
        extra = {key: image.entry[key] for key in layout.extra_keys if key in image.entry}
        conversion.write_detection(image, instances, {"img_id": image_id, **extra})
    report.check_not_empty(ann_file)


def _category_id(annotation: Entry) -> int | str | None:
    category_id = annotation.get("category_id")
    return category_id if isinstance(category_id, (int, str)) else None


def _category_names(
    categories: list[Entry], path: Path, rename: Callable[[str], str]
) -> dict[int | str, str]:
    """Return the name of each category id, in the order of the ids."""
    names: dict[int | str, str] = {}
    for category in categories:
        category_id, name = category.get("id"), category.get("name")
        if not isinstance(category_id, (int, str)) or not isinstance(name, str):
            raise AnnotationFileError(
                f"'{path}' has a category without 'id' and 'name': {category!r:.80}"
            )
        if names.setdefault(category_id, rename(name)) != rename(name):
            raise AnnotationFileError(
                f"'{path}' has two categories with the id {category_id!r}, {names[category_id]!r} "
                f"and {name!r}; give each its own id."
            )
    if not names:
        raise AnnotationFileError(f"'{path}' has no categories: expected detection data.")
    try:
        return dict(sorted(names.items()))  # type: ignore[arg-type]
    except TypeError as error:
        raise AnnotationFileError(f"'{path}' has category ids of two types.") from error
