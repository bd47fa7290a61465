"""Open Images' boxes, in CSV files with coordinates from 0 to 1, to lines."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from glip.converters.box_table import BoxTable
from glip.converters.coco_format import SourceImage, boxes_inside, usable_size
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder
from glip.converters.output import label_map_path, save_label_map, write_detection
from glip.converters.report import Report
from glip.datasets.annotation_file import check_exists
from glip.datasets.odvg.writing import LineWriter
from glip.utils.errors import AnnotationFileError

_COLUMNS = ("ImageID", "LabelName", "XMin", "XMax", "YMin", "YMax", "IsGroupOf")


def convert_open_images(
    boxes_file: Path,
    names_file: Path,
    out: Path,
    *,
    sizes_file: Path | None,
    keep_groups: bool,
    folder: ImageFolder,
    left_out: ExcludedImages,
    overwrite: bool,
) -> Report:
    """Convert boxes of Open Images; see ``docs/converters.md``.

    Args:
        boxes_file: ``train-annotations-bbox.csv`` or the like.
        names_file: ``class-descriptions-boxable.csv``; a label is the place of a class in it.
        out: the file of lines; the label map is written beside it.
        sizes_file: a CSV file with the columns ImageID, Width, Height; None to look at the images.
        keep_groups: keep boxes around groups of more than five, ``IsGroupOf``.
        folder: of the images.
        left_out: the images to leave out.
        overwrite: write although the files are there already.

    Raises:
        DataError: a file is there already.
        AnnotationFileError: a file cannot be used, or neither sizes nor images are given.
    """
    if sizes_file is None and folder.root is None:
        raise AnnotationFileError(
            "Open Images' boxes are shares of the image, so its size in pixels is needed: give the "
            "folder of the images, --img-root, or --sizes, a CSV file with the columns ImageID, "
            "Width and Height."
        )
    report = Report()
    with LineWriter(out, overwrite) as writer:
        classes = _read_classes(names_file)
        names = list(classes.values())
        save_label_map(label_map_path(out), names, overwrite=overwrite)
        sizes = {} if sizes_file is None else _read_sizes(sizes_file)
        labels = {code: label for label, code in enumerate(classes)}
        table = _read_boxes(boxes_file, labels, report, keep_groups=keep_groups)
        images = list(table.counts())
        for number, _ in tqdm(images, desc="images", unit="image"):
            name = f"{number}.jpg"
            stated = sizes.get(number)
            if stated is None and folder.root is None:
                report.drop("image", "not in --sizes", name)
                continue
            size = usable_size(name, stated, folder, left_out, report)
            if size is None:
                continue
            height, width = size
            image = SourceImage({}, name, height, width)
            scaled = (
                ((box[0] * width, box[1] * height, box[2] * width, box[3] * height), label)
                for box, label in table.take(number)
            )
            instances = [
                (box, label, names[label]) for box, label in boxes_inside(scaled, image, report)
            ]
            write_detection(writer, image, instances, dict(img_id=number), report)
        report.check(boxes_file)
    return report


def _read_classes(path: Path) -> dict[str, str]:
    """Return the name of each class code, /m/011k07, in the order of the file."""
    classes = {}
    for row in _rows(path):
        if len(row) != 2:
            raise AnnotationFileError(
                f"'{path}' has the row {row!r:.80}: expected a code and a name, "
                "/m/011k07,Tortoise (class-descriptions-boxable.csv)."
            )
        if row[0] != "LabelName":  # version 7 has a head
            classes[row[0]] = row[1]
    return classes


def _read_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Return height and width in pixels of each image."""
    rows = _rows(path)
    at = _find_columns(next(rows, []), ("ImageID", "Width", "Height"), path)
    sizes = {}
    for row in rows:
        try:
            sizes[row[at[0]]] = (int(row[at[2]]), int(row[at[1]]))
        except (IndexError, ValueError) as error:
            raise AnnotationFileError(
                f"'{path}' has the row {row!r:.80}: expected an image and its size in pixels."
            ) from error
    return sizes


def _read_boxes(
    path: Path, labels: dict[str, int], report: Report, *, keep_groups: bool
) -> BoxTable:
    """Read the boxes, x1, y1, x2, y2 from 0 to 1, with their labels."""
    table = BoxTable()
    rows = _rows(path)
    at = _find_columns(next(rows, []), _COLUMNS, path)
    for row in rows:
        try:
            image, code, left, right, top, bottom, group = (row[index] for index in at)
            box = (float(left), float(top), float(right), float(bottom))
        except (IndexError, ValueError):
            report.drop("box", "without four numbers", row[0] if row else "an empty row")
            continue
        if code not in labels:
            report.drop("box", "of classes without a name", code)
        elif group == "1" and not keep_groups:
            report.drop("box", "around a group", image)
        elif not (box[0] < box[2] and box[1] < box[3]):  # also when one is NaN
            report.drop("box", "without area", image)
        else:
            table.add(image, box, labels[code])
    return table


def _rows(path: Path) -> Iterator[list[str]]:
    """Go through the rows of a CSV file, with a progress bar of what is read."""
    check_exists(str(path))
    with (
        open(path, encoding="utf-8-sig", newline="") as file,
        tqdm(total=os.path.getsize(path), unit="B", unit_scale=True, desc=path.name) as progress,
    ):
        reader = csv.reader(file)
        try:
            for number, row in enumerate(reader):
                yield row
                if number % 10000 == 0:
                    progress.update(file.buffer.tell() - progress.n)
        except (UnicodeDecodeError, csv.Error) as error:
            raise AnnotationFileError(f"'{path}' is no CSV file in UTF-8 ({error}).") from error
        progress.update(progress.total - progress.n)


def _find_columns(head: list[str], names: tuple[str, ...], path: Path) -> list[int]:
    """Return where the columns are."""
    missing = [name for name in names if name not in head]
    if missing:
        raise AnnotationFileError(
            f"'{path}' has no column {missing[0]!r}: expected a CSV file whose first row names the "
            f"columns {', '.join(names)}, got {', '.join(head)!r:.200}."
        )
    return [head.index(name) for name in names]
