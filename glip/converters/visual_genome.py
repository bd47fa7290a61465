"""Visual Genome to lines: descriptions of regions as captions, or objects as classes.

GoldG's part of Visual Genome are the descriptions of regions, which MDETR joins into captions where
they do not speak of the same place; so does this. The four detection data sets of GLIP-L have its
objects as classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from glip.converters.box_table import Box, BoxTable
from glip.converters.coco_format import Entry, SourceImage, boxes_inside, usable_size
from glip.converters.descriptions import join_descriptions
from glip.converters.excluded_images import ExcludedImages
from glip.converters.image_files import ImageFolder, stated_size
from glip.converters.json_stream import stream_entries
from glip.converters.output import (
    label_map_path,
    save_label_map,
    write_detection,
    write_grounding,
)
from glip.converters.report import Report
from glip.datasets.annotation_file import box_problem
from glip.datasets.odvg.writing import LineWriter
from glip.utils.errors import AnnotationFileError


class VisualGenome:
    """The images of Visual Genome, and one of its files of annotations.

    Args:
        path: ``region_descriptions.json`` or ``objects.json``.
        image_data: ``image_data.json``.
        flat: whether all files are in one folder (GQA's images/), not in VG_100K and VG_100K_2.
        folder: of the images.
        left_out: the images to leave out.

    Raises:
        AnnotationFileError: ``image_data`` cannot be used.
    """

    def __init__(
        self,
        path: Path,
        image_data: Path,
        *,
        flat: bool,
        folder: ImageFolder,
        left_out: ExcludedImages,
    ) -> None:
        self.path = path
        self.folder = folder
        self.left_out = left_out
        self.report = Report()
        self.known: dict[int, Entry] = {}
        for _, image in stream_entries(image_data):
            number = _image_id(image)
            if number is None or not isinstance(image.get("url"), str):
                raise AnnotationFileError(
                    f"'{image_data}' has the entry {image!r:.80}: expected Visual Genome's "
                    "image_data.json, images with 'image_id', 'url', 'width' and 'height'."
                )
            name = "/".join(image["url"].split("/")[-1 if flat else -2 :])
            self.known[number] = {**image, "file_name": name}

    def images(self, key: str) -> Iterator[tuple[int, SourceImage, list[Entry]]]:
        """Go through the images to keep.

        Args:
            key: of the annotations of an image.

        Yields:
            the id of an image, the image, and its annotations.

        Raises:
            AnnotationFileError: the file has no such annotations.
        """
        for _, entry in stream_entries(self.path):
            number = _image_id(entry)
            if number is None or not isinstance(entry.get(key), list):
                raise AnnotationFileError(
                    f"'{self.path}' has the entry {entry!r:.80}: expected Visual Genome's format, "
                    f"images with an id and '{key}'."
                )
            image = self.known.get(number)
            if image is None:
                self.report.drop("image", "not in image_data.json", f"id {number}")
                continue
            size = usable_size(
                image["file_name"],
                stated_size(image),
                self.folder,
                self.left_out,
                self.report,
                known_coco_id=image.get("coco_id"),
            )
            if size is not None:
                yield number, SourceImage(image, image["file_name"], *size), entry[key]

    def boxes(
        self,
        image: SourceImage,
        entries: list[Entry],
        text_of: Callable[[Entry], str],
        sides: tuple[str, str],
    ) -> Iterator[tuple[Box, str]]:
        """Go through the boxes of an image, x1, y1, x2, y2 in pixels, and what they are of.

        Args:
            image: the image.
            entries: its annotations.
            text_of: what an annotation's box is of; empty to leave it out.
            sides: the keys of width and height.
        """
        yield from boxes_inside(self._read(image, entries, text_of, sides), image, self.report)

    def _read(
        self,
        image: SourceImage,
        entries: Iterable[Entry],
        text_of: Callable[[Entry], str],
        sides: tuple[str, str],
    ) -> Iterator[tuple[Box, str]]:
        for entry in entries:
            box = [entry.get(key) for key in ("x", "y", *sides)]
            problem, text = box_problem(box), text_of(entry)
            if problem is None and (box[2] <= 0 or box[3] <= 0):
                problem = "without area"
            if problem is None and not any(map(str.isalnum, text)):
                problem = "without words"
            if problem is None:
                left, top, wide, high = box
                yield (left, top, left + wide, top + high), text
            else:
                self.report.drop("box", problem, image.file_name)


def convert_regions(data: VisualGenome, out: Path, *, longest: int, overwrite: bool) -> Report:
    """Convert ``region_descriptions.json`` to grounding lines, one or more an image.

    Args:
        data: the images and the file.
        out: the file of lines.
        longest: how many characters a caption of more than one description may have.
        overwrite: write although the file is there already.

    Raises:
        DataError: the file is there already.
        AnnotationFileError: the annotation file cannot be used.
    """
    report = data.report
    with LineWriter(out, overwrite) as writer:
        for number, image, entries in data.images("regions"):
            described = data.boxes(image, entries, _description, ("width", "height"))
            for caption in join_descriptions(described, longest):
                regions, extra = caption.regions(), dict(img_id=number)
                write_grounding(writer, image, caption.text, regions, extra, report)
        report.check(data.path)
    return report


def convert_objects(data: VisualGenome, out: Path, *, num_names: int, overwrite: bool) -> Report:
    """Convert ``objects.json`` to detection lines, with the most frequent names as classes.

    Args:
        data: the images and the file.
        out: the file of lines; the label map is written beside it, the most frequent name first.
        num_names: how many names.
        overwrite: write although the files are there already.

    Raises:
        DataError: a file is there already.
        AnnotationFileError: the annotation file cannot be used.
    """
    report = data.report
    with LineWriter(out, overwrite) as writer:
        table, frequency = BoxTable(), Counter()
        images: dict[int, SourceImage] = {}
        for number, image, entries in data.images("objects"):
            images[number] = image
            for box, name in data.boxes(image, entries, _object_name, ("w", "h")):
                frequency[name] += 1
                table.add(number, box, name)
        names = sorted(frequency, key=lambda name: (-frequency[name], name))[:num_names]
        if names:
            save_label_map(label_map_path(out), names, overwrite=overwrite)
        labels = {name: label for label, name in enumerate(names)}
        for number, image in images.items():
            instances = []
            for box, name in table.take(number):
                if name in labels:
                    instances.append((box, labels[name], name))
                else:
                    report.drop("box", f"of names after the {num_names} most frequent", name)
            write_detection(writer, image, instances, dict(img_id=number), report)
        report.check(data.path)
    return report


def _image_id(entry: Any) -> int | None:
    """Return the id of an image, which version 1.0 calls ``id``."""
    number = entry.get("image_id", entry.get("id")) if isinstance(entry, dict) else None
    return number if isinstance(number, int) else None


def _description(region: Entry) -> str:
    """Return what is said of a region, without double spaces and the last full stop."""
    return " ".join(str(region.get("phrase") or "").split()).strip(" .,;")


def _object_name(thing: Entry) -> str:
    """Return the first of an object's names, in lower case."""
    names = thing.get("names")
    first = names[0] if isinstance(names, list) and names else thing.get("name")
    return " ".join(str(first or "").lower().split())
