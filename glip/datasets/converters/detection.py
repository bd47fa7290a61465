"""Detection data in COCO's format to lines: COCO, LVIS, Objects365, your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glip.datasets.annotation_file import AnnotationFileError, DataError
from glip.datasets.converters.coco_format import (
    Entry,
    boxes_inside,
    read_boxes,
    read_images,
)
from glip.datasets.converters.image_files import ImageFolder
from glip.datasets.converters.left_out import LeftOut
from glip.datasets.converters.report import Report
from glip.datasets.odvg.lines import detection_line
from glip.datasets.odvg.writing import LineWriter, read_label_map, write_label_map


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
    left_out: LeftOut,
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
            carried = ("id", *layout.extra_keys)
            extra = {key: image.entry[key] for key in carried if key in image.entry}
            line = detection_line(
                filename=image.file_name,
                height=image.height,
                width=image.width,
                instances=instances,
                extra={"img_id": extra.pop("id"), **extra},
            )
            counts = {"image": 1, "empty image": int(not instances)}
            report.write(writer, line, {**counts, "box": len(instances)})
        report.check(ann_file)
    return report


def label_map_path(out: Path) -> Path:
    """Where the label map of a file of lines goes: beside it.

    Example:
        >>> label_map_path(Path("coco/train.jsonl")).as_posix()
        'coco/train_label_map.json'
    """
    return out.with_name(f"{out.stem}_label_map.json")


def save_label_map(path: Path, names: list[str], *, overwrite: bool) -> None:
    """Write a label map, unless another one is there.

    Raises:
        DataError: it is, and must not be overwritten; or two labels have one name.
    """
    if path.exists() and not overwrite and read_label_map(path) != tuple(names):
        raise DataError(
            f"'{path}' exists already and has other names; name another file, or add --overwrite."
        )
    write_label_map(path, names)


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
