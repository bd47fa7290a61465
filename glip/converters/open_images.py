"""Conversion of Open Images' boxes: CSV files with coordinates from 0 to 1."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from glip.converters.box_table import BoxTable
from glip.converters.conversion import Conversion
from glip.converters.progress import byte_progress
from glip.converters.report import Report
from glip.datasets.annotation_file import check_exists
from glip.utils.errors import AnnotationFileError

_COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf")


def convert_open_images(
    boxes_file: Path,
    names_file: Path,
    conversion: Conversion,
    *,
    sizes_file: Path | None,
    keep_groups: bool,
) -> None:
    """Convert boxes of Open Images; see ``docs/converters.md``.

    Args:
        boxes_file: ``train-annotations-bbox.csv`` or the like.
        names_file: ``class-descriptions-boxable.csv``; a label is the index of a class in it.
        conversion: the output.
        sizes_file: a CSV file with the columns ImageID, Width, Height; None to read the image
            files.
        keep_groups: keep boxes around groups of more than five objects, ``IsGroupOf``.

    Raises:
        DataError: another label map exists.
        AnnotationFileError: a file cannot be used, or neither sizes nor images are given.
    """
    report, folder = conversion.report, conversion.folder
    if sizes_file is None and folder.root is None:
        raise AnnotationFileError(
            "Open Images' boxes are fractions of the image, so its size in pixels is needed: give "
            "the image folder, --img-root, or --sizes, a CSV file with the columns ImageID, Width "
            "and Height."
        )
    classes = _read_classes(names_file)
    names = list(classes.values())
    conversion.write_label_map(names)
    sizes = {} if sizes_file is None else _read_sizes(sizes_file)
    labels = {code: label for label, code in enumerate(classes)}
    table = _read_boxes(boxes_file, labels, report, keep_groups=keep_groups)
    for image_id, _ in tqdm(list(table.counts()), desc="images", unit="image"):
        name, size = f"{image_id}.jpg", sizes.get(str(image_id))
        if size is None and folder.root is None:
            report.exclude("image", "not in --sizes", name)
            continue
        image = conversion.accept_image({}, name, size)
        if image is None:
            continue
        height, width = image.height, image.width
        scaled = (
            ((box[0] * width, box[1] * height, box[2] * width, box[3] * height), label)
            for box, label in table.boxes_of(image_id)
        )
        instances = [
            (box, label, names[label]) for box, label in conversion.clip_boxes(image, scaled)
        ]
        conversion.write_detection(image, instances, dict(img_id=image_id))
    report.check_not_empty(boxes_file)


def _read_classes(path: Path) -> dict[str, str]:
    """Return the name of each class code, /m/011k07, in file order."""
    classes = {}
    for row in _rows(path):
        if len(row) != 2:
            raise AnnotationFileError(
                f"'{path}' has the row {row!r:.80}: expected a code and a name, "
                "/m/011k07,Tortoise (class-descriptions-boxable.csv)."
            )
        if row[0] != "LabelName":  # version 7 has a header
            classes[row[0]] = row[1]
    return classes


def _read_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Return height and width in pixels of each image."""
    rows = _rows(path)
    columns = _find_columns(next(rows, []), ("ImageID", "Width", "Height"), path)
    sizes = {}
    for row in rows:
        try:
            image_id, width, height = (row[column] for column in columns)
            sizes[image_id] = (int(height), int(width))
        except (IndexError, ValueError) as error:
            raise AnnotationFileError(
                f"'{path}' has the row {row!r:.80}: expected an image and its size in pixels."
            ) from error
    return sizes


def _read_boxes(
    path: Path, labels: dict[str, int], report: Report, *, keep_groups: bool
) -> BoxTable:
    """Read the boxes (xyxy, from 0 to 1) with their labels."""
    table = BoxTable()
    rows = _rows(path)
    columns = _find_columns(next(rows, []), _COLUMNS, path)
    for row in rows:
        try:
            image_id, code, left, right, top, bottom, group = (row[column] for column in columns)
            box = (float(left), float(top), float(right), float(bottom))
        except (IndexError, ValueError):
            report.exclude("box", "without four numbers", row[0] if row else "an empty row")
            continue
        if code not in labels:
            report.exclude("box", "of classes without a name", code)
        elif group == "1" and not keep_groups:
            report.exclude("box", "around a group", image_id)
        elif not (box[0] < box[2] and box[1] < box[3]):  # also excludes NaN
            report.exclude("box", "without area", image_id)
        else:
            table.add(image_id, box, labels[code])
    return table


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, with a progress bar."""
    check_exists(str(path))
    with open(path, encoding="utf-8-sig", newline="") as file, byte_progress(path) as progress:
        try:
            for index, row in enumerate(csv.reader(file)):
                yield row
                if index % 10000 == 0:
                    progress.update(file.buffer.tell() - progress.n)  # type: ignore[attr-defined]
        except (UnicodeDecodeError, csv.Error) as error:
            raise AnnotationFileError(f"'{path}' is not a CSV file in UTF-8 ({error}).") from error
        progress.update(progress.total - progress.n)


def _find_columns(header: list[str], names: tuple[str, ...], path: Path) -> list[int]:
    """Return the indices of the named columns."""
    missing = [name for name in names if name not in header]
    if missing:
        raise AnnotationFileError(
            f"'{path}' has no column {missing[0]!r}: expected a CSV file whose first row names the "
            f"columns {', '.join(names)}, got {', '.join(header)!r:.200}."
        )
    return [header.index(name) for name in names]
