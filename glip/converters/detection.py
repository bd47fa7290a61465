"""Detection data in COCO's format to lines: COCO, LVIS, Objects365, your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glip.converters.coco_format import (
    Entry,
    boxes_inside,
    read_boxes,
    read_images,
)
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder
from glip.converters.output import label_map_path, save_label_map, write_detection
from glip.converters.report import Report
from glip.datasets.odvg.writing import LineWriter
from glip.utils.errors import AnnotationFileError


@dataclass(frozen=True)
class Layout:
    """What differs between data sets in COCO's format.

    Attributes:
        file_name: what the file of an image is called; None for its ``file_name``.
        category: what to call a category, given its name in the file.
        extra_keys: keys of an image to carry along.
    """

    file_name: Callable[[Entry], str | None] | None = None
    category: Callable[[str], str] = str
    extra_keys: tuple[str, ...] = ()


def convert_detection(
    ann_file: Path,
    out: Path,
    *,
    layout: Layout,
    folder: ImageFolder,
    left_out: ExcludedImages,
    overwrite: bool,
) -> Report:
    """Convert an annotation file in COCO's format; see ``docs/converters.md``.

    A label is the place of a category among all of them, in the order of their ids. Images without
    boxes are kept.

    Args:
        ann_file: the annotation file.
        out: the file of lines; the label map is written beside it.
        layout: what is special about the data set.
        folder: of the images.
        left_out: the images to leave out.
        overwrite: write although the files are there already.

    Raises:
        DataError: a file is there already, or two categories have one name.
        AnnotationFileError: the annotation file cannot be used.
    """
    report = Report()
    with LineWriter(out, overwrite) as writer:
        table, lists = read_boxes(
            ann_file, _category_id, report, without="a category", lists=["categories"]
        )
        names = _category_names(lists["categories"], ann_file, layout.category)
        save_label_map(label_map_path(out), list(names.values()), overwrite=overwrite)
        labels = {number: label for label, number in enumerate(names)}
        images = read_images(
            ann_file,
            table,
            folder=folder,
            left_out=left_out,
            report=report,
            name_of=layout.file_name,
        )
        for image in images:
            instances = []
            for box, number in boxes_inside(table.take(image.entry["id"]), image, report):
                if number in labels:
                    instances.append((box, labels[number], names[number]))
                else:
                    report.drop("box", "of categories not in the file", f"id {number}")
            carried = {key: image.entry[key] for key in layout.extra_keys if key in image.entry}
            extra = {"img_id": image.entry["id"], **carried}
            write_detection(writer, image, instances, extra, report)
        report.check(ann_file)
    return report


def _category_id(annotation: Entry) -> int | str | None:
    number = annotation.get("category_id")
    return number if isinstance(number, (int, str)) else None


def _category_names(
    categories: list[Entry], path: Path, rename: Callable[[str], str]
) -> dict[int | str, str]:
    """Return the name of each category id, in the order of the ids."""
    names: dict[int | str, str] = {}
    for category in categories:
        number, name = category.get("id"), category.get("name")
        if not isinstance(number, (int, str)) or not isinstance(name, str):
            raise AnnotationFileError(
                f"'{path}' has a category without 'id' and 'name': {category!r:.80}"
            )
        if names.setdefault(number, rename(name)) != rename(name):
            raise AnnotationFileError(
                f"'{path}' has one id, {number!r}, for the categories {names[number]!r} and "
                f"{name!r}; give each its own."
            )
    if not names:
        raise AnnotationFileError(f"'{path}' has no categories: it is no detection data.")
    try:
        return dict(sorted(names.items()))
    except TypeError as error:
        raise AnnotationFileError(f"'{path}' has categories with ids of two types.") from error
