"""Streaming files in COCO's format: detection data sets, and MDETR's captions with boxes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from glip.converters.box_table import BoxTable
from glip.converters.conversion import Conversion, Entry, SourceImage
from glip.converters.image_files import stated_size
from glip.converters.json_stream import stream_entries
from glip.converters.report import Report
from glip.datasets.annotation_file import box_problem
from glip.utils.errors import AnnotationFileError


def read_boxes(
    path: Path,
    value_of: Callable[[Entry], Hashable],
    report: Report,
    *,
    without: str,
    lists: Iterable[str] = (),
) -> tuple[BoxTable, dict[str, list[Entry]]]:
    """Read the boxes of a file in COCO's format; exclude crowds and invalid boxes.

    Args:
        path: the annotation file.
        value_of: what to store of an annotation besides its box; None excludes the annotation.
        report: counts what is excluded.
        without: names what is missing in an annotation whose value is None.
        lists: keys of short lists to read in the same pass.

    Returns:
        The boxes (xyxy, pixels) by image id, and the lists.

    Raises:
        AnnotationFileError: the file is not in COCO's format.
    """
    table = BoxTable()
    short_lists: dict[str, list[Entry]] = {key: [] for key in lists}
    for key, entry in stream_entries(path, "annotations", *short_lists):
        if not isinstance(entry, dict):
            raise AnnotationFileError(f"'{path}' has {entry!r:.80} among its '{key}'.")
        if key in short_lists:
            short_lists[key].append(entry)
            continue
        problem = _problem(entry)
        value = value_of(entry)
        if problem is None and value is None:
            problem = f"without {without}"
        if problem is not None:
            report.exclude("box", problem, f"id {entry.get('id')}")
            continue
        left, top, width, height = entry["bbox"]
        table.add(entry["image_id"], (left, top, left + width, top + height), value)
    return table, short_lists


def read_images(
    path: Path,
    table: BoxTable,
    conversion: Conversion,
    name_of: Callable[[Entry], str | None] | None = None,
) -> Iterator[SourceImage]:
    """Yield the images of a file in COCO's format that the conversion accepts.

    Args:
        path: the annotation file, which :func:`read_boxes` has read to its end.
        table: its boxes; those of images that the file lacks are counted as excluded.
        conversion: decides which images are used.
        name_of: gives the file name of an image; by default its ``file_name``.

    Raises:
        AnnotationFileError: the file has no images, or two images share an id.
    """
    report = conversion.report
    seen: dict[Hashable, int] = {}
    for _, image in stream_entries(path, "images", to_end=False):
        if not isinstance(image, dict) or not isinstance(image.get("id"), (int, str)):
            report.exclude("image", "without an id", f"{image!r:.40}")
            continue
        name = (name_of(image) if name_of else None) or image.get("file_name")
        content = hash((name, str(image.get("caption"))))
        if image["id"] in seen:
            if seen[image["id"]] != content:
                raise AnnotationFileError(
                    f"'{path}' has two different images with the id {image['id']!r}, so the boxes "
                    "cannot be assigned; give each image its own id."
                )
            report.exclude("image", "found twice", f"id {image['id']}")
            continue
        seen[image["id"]] = content
        if not isinstance(name, str) or not name:
            report.exclude("image", "without a file name", f"id {image['id']}")
            continue
        original = str(image.get("original_id")) if image.get("data_source") == "coco" else ""
        coco_id = int(original) if original.isdecimal() else None
        accepted = conversion.accept_image(image, name, stated_size(image), coco_id=coco_id)
        if accepted is not None:
            yield accepted
    for image_id, boxes in table.counts():
        if image_id not in seen:
            report.exclude("box", "of images not in the file", f"image {image_id}", boxes)


def _problem(entry: Entry) -> str | None:
    """Return why an annotation is excluded, whatever its value; None if it is not."""
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
