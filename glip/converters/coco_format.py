"""What COCO's format holds, read as a stream: detection data sets and MDETR's captions alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from glip.converters.box_table import Box, BoxTable, clip_box
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder, stated_size
from glip.converters.json_stream import stream_entries
from glip.converters.report import Report
from glip.datasets.annotation_file import box_problem
from glip.utils.errors import AnnotationFileError, ImageReadError

Entry = dict[str, Any]


class SourceImage(NamedTuple):
    """An image of an annotation file.

    Attributes:
        entry: what the file says of it.
        file_name: below the folder of the images.
        height: in pixels.
        width: in pixels.
    """

    entry: Entry
    file_name: str
    height: int
    width: int


def read_boxes(
    path: Path,
    value_of: Callable[[Entry], Hashable],
    report: Report,
    *,
    without: str,
    lists: Iterable[str] = (),
) -> tuple[BoxTable, dict[str, list[Entry]]]:
    """Read the boxes of a file in COCO's format.

    Crowds, and what is no box, are left out.

    Args:
        path: of the file.
        value_of: what to remember of an annotation besides its box; None to leave it out.
        report: where to count what is left out.
        without: what an annotation that gives None is without.
        lists: keys of short lists to read, too.

    Returns:
        the boxes, x1, y1, x2, y2, by image id, and the lists.

    Raises:
        AnnotationFileError: the file is not in this format.
    """
    table = BoxTable()
    read: dict[str, list[Entry]] = {key: [] for key in lists}
    for key, entry in stream_entries(path, "annotations", *read):
        if not isinstance(entry, dict):
            raise AnnotationFileError(f"'{path}' has {entry!r:.80} among its '{key}'.")
        if key in read:
            read[key].append(entry)
            continue
        problem = _problem(entry)
        value = value_of(entry)
        if problem is None and value is None:
            problem = f"without {without}"
        if problem is not None:
            report.drop("box", problem, f"id {entry.get('id')}")
            continue
        left, top, wide, high = entry["bbox"]
        table.add(entry["image_id"], (left, top, left + wide, top + high), value)
    return table, read


def read_images(
    path: Path,
    table: BoxTable,
    *,
    folder: ImageFolder,
    left_out: ExcludedImages,
    report: Report,
    name_of: Callable[[Entry], str | None] | None = None,
) -> Iterator[SourceImage]:
    """Go through the images of a file in COCO's format that are to be kept.

    Args:
        path: of the file.
        table: its boxes; those of images that the file lacks are counted as left out.
        folder: of the images; says what is missing, and sizes that the file does not state.
        left_out: the images to leave out.
        report: where to count what is left out.
        name_of: what the file of an image is called, if not by ``file_name``.

    Raises:
        AnnotationFileError: the file has no images, or one id stands for two.
    """
    seen: dict[Hashable, int] = {}
    for _, image in stream_entries(path, "images", whole=False):  # read_boxes saw the rest
        if not isinstance(image, dict) or not isinstance(image.get("id"), (int, str)):
            report.drop("image", "without an id", f"{image!r:.40}")
            continue
        name = (name_of(image) if name_of else None) or image.get("file_name")
        content = hash((name, str(image.get("caption"))))
        if image["id"] in seen:
            if seen[image["id"]] != content:
                raise AnnotationFileError(
                    f"'{path}' has one id, {image['id']!r}, for two different images, so it is "
                    "not known whose the boxes are; give each its own id."
                )
            report.drop("image", "found twice", f"id {image['id']}")
            continue
        seen[image["id"]] = content
        if not isinstance(name, str) or not name:
            report.drop("image", "without a file name", f"id {image['id']}")
            continue
        number = str(image.get("original_id")) if image.get("data_source") == "coco" else ""
        known_id = int(number) if number.isdecimal() else None
        size = usable_size(
            name, stated_size(image), folder, left_out, report, known_coco_id=known_id
        )
        if size is not None:
            yield SourceImage(image, name, *size)
    for number, boxes in table.counts():
        if number not in seen:
            report.drop("box", "of images not in the file", f"image {number}", boxes)


def usable_size(
    name: str,
    stated: tuple[int, int] | None,
    folder: ImageFolder,
    left_out: ExcludedImages,
    report: Report,
    *,
    known_coco_id: int | None = None,
) -> tuple[int, int] | None:
    """Return height and width of an image in pixels, or count why it is left out.

    Args:
        name: of the file.
        stated: height and width as the annotations have them, if they do.
        folder: of the images.
        left_out: the images to leave out.
        report: where to count.
        known_coco_id: the id of the image in COCO, where the data set says it.
    """
    reason = left_out.reason(name, known_coco_id=known_coco_id) or folder.problem(name)
    if reason is None and stated is None:
        try:
            stated = folder.size(name)
        except ImageReadError:
            reason = "not readable"
            if folder.root is None:
                reason = "of unknown size (--img-root would tell)"
    if reason is not None:
        report.drop("image", reason, name)
        return None
    return stated


def boxes_inside(
    boxes: Iterable[tuple[Box, Any]], image: SourceImage, report: Report
) -> Iterator[tuple[Box, Any]]:
    """Go through the boxes of an image with their values: cut at its borders, and each once."""
    seen = set()
    for box, value in boxes:
        inside = clip_box(box, image.width, image.height)
        if inside is None:
            report.drop("box", "outside the image", image.file_name)
        elif (inside, value) in seen:
            report.drop("box", "found twice", image.file_name)
        else:
            seen.add((inside, value))
            yield inside, value


def _problem(entry: Entry) -> str | None:
    """Say why an annotation is left out, whatever its value."""
    problem = box_problem(entry.get("bbox"))
    if problem is not None:
        return problem
    if entry["bbox"][2] <= 0 or entry["bbox"][3] <= 0:
        return "without area"
    if entry.get("iscrowd"):
        return "of a crowd"
    if entry.get("ignore"):
        return "marked to be ignored"
    if not isinstance(entry.get("image_id"), (int, str)):
        return "without an image"
    return None
