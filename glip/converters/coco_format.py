"""Streaming files in COCO's format: detection data sets, and MDETR's captions with boxes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

from glip.converters.box_table import BoxTable
from glip.converters.conversion import Conversion, Entry, SourceImage
from glip.converters.image_files import stated_size
from glip.converters.json_stream import stream_entries
from glip.converters.report import Report
from glip.datasets.annotation_entries import name_entry, normalize_annotation
from glip.datasets.annotation_values import IdMatcher, InvalidValueError, parse_id
from glip.utils.errors import AnnotationFileError
from glip.utils.messages import shorten


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
    for number, (key, entry) in enumerate(stream_entries(path, "annotations", *short_lists)):
        if not isinstance(entry, dict):
            raise AnnotationFileError(f"'{path}' has {shorten(entry)} among its '{key}'.")
        if key in short_lists:
            short_lists[key].append(entry)
            continue
        problem, value = _problem(entry), None
        if problem is None:
            value = value_of(entry)
            problem = f"without {without}" if value is None else None
        if problem is not None:
            report.exclude("box", problem, name_entry(number, entry))
            continue
        left, top, width, height = entry["bbox"]
        box = (left, top, left + width, top + height)
        table.add(parse_id(entry["image_id"]), box, value)
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
    owners = _Owners(table, path)
    for number, (_, image) in enumerate(stream_entries(path, "images", to_end=False)):
        try:
            image_id = parse_id(image.get("id") if isinstance(image, dict) else None)
        except InvalidValueError:
            report.exclude("image", "without an id", f"number {number}")
            continue
        name = (name_of(image) if name_of else None) or image.get("file_name")
        content = hash((str(name), str(image.get("caption"))))
        if image_id in seen:
            if seen[image_id] != content:
                raise AnnotationFileError(
                    f"'{path}' has two different images with the id {shorten(image_id)}, so the "
                    "boxes cannot be assigned; give each image its own id."
                )
            report.exclude("image", "found twice", name_entry(number, image))
            continue
        seen[image_id] = content
        owners.find(image_id)
        image["id"] = image_id
        if not isinstance(name, str) or not name:
            report.exclude("image", "without a file name", name_entry(number, image))
            continue
        original = str(image.get("original_id")) if image.get("data_source") == "coco" else ""
        coco_id = int(original) if original.isdecimal() and len(original) < 20 else None
        accepted = conversion.accept_image(image, name, stated_size(image), coco_id=coco_id)
        if accepted is not None:
            yield accepted
    known = {*owners.found, *owners.found.values()}  # the table has the ids of the images by now
    for owner, boxes in table.counts():
        if owner not in known:
            example = f"image {str(owner)[:40]}"
            report.exclude("box", "of images not in the file", example, boxes)


class _Owners:
    """The images of a file by the ids that its annotations write, ``"7"`` for 7 included."""

    def __init__(self, table: BoxTable, path: Path) -> None:
        self.table = table
        self.path = path
        self.found: dict[Hashable, Hashable] = {}
        self._written = IdMatcher(key for key, _ in table.counts())

    def find(self, image_id: Hashable) -> None:
        """Assign the boxes of an image to its id."""
        written = self._written.find(image_id)
        if written is None:
            return
        if self.found.setdefault(written, image_id) != image_id:
            raise AnnotationFileError(
                f"'{self.path}' has images with the ids {shorten(self.found[written])} and "
                f"{shorten(image_id)}, and annotations of {shorten(written)}; give each image an "
                "id that differs from the others also when it is written as text."
            )
        self.table.rename(written, image_id)


def _problem(entry: Entry) -> str | None:
    """Return why an annotation is excluded, whatever its value; None if it is not."""
    try:
        normalize_annotation(entry)
        parse_id(entry.get("image_id"), "without an image")
    except InvalidValueError as error:
        return error.reason
    if entry["bbox"][2] <= 0 or entry["bbox"][3] <= 0:
        return "without area"
    if entry.get("iscrowd"):
        return "of a crowd"
    if entry.get("ignore"):
        return "marked to be ignored"
    return None
