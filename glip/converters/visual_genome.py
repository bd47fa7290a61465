"""Conversion of Visual Genome: region descriptions as captions, or objects as classes.

Visual Genome's part in GoldG are the region descriptions, which MDETR joins into captions where
their boxes do not overlap; so does :func:`convert_regions`. GLIP-L's four detection data sets use
the objects as classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from glip.converters.box_table import Box, BoxTable
from glip.converters.conversion import Conversion, Entry, SourceImage
from glip.converters.descriptions import join_descriptions
from glip.converters.image_files import stated_size
from glip.converters.json_stream import stream_entries
from glip.datasets.annotation_values import InvalidValueError, parse_number
from glip.utils.errors import AnnotationFileError


class VisualGenome:
    """The images of Visual Genome, and one of its annotation files.

    Args:
        ann_file: ``region_descriptions.json`` or ``objects.json``.
        image_data: ``image_data.json``.
        conversion: decides which images are used, and counts the others.
        flat: whether all images are in one folder (GQA's images/), not in VG_100K and VG_100K_2.

    Raises:
        AnnotationFileError: ``image_data`` cannot be used.
    """

    def __init__(
        self, ann_file: Path, image_data: Path, conversion: Conversion, *, flat: bool
    ) -> None:
        self.ann_file = ann_file
        self.conversion = conversion
        self.entries: dict[int, Entry] = {}
        for _, image in stream_entries(image_data):
            image_id = _image_id(image)
            if image_id is None or not isinstance(image.get("url"), str):
                raise AnnotationFileError(
                    f"'{image_data}' has the entry {image!r:.80}: expected Visual Genome's "
                    "image_data.json, images with 'image_id', 'url', 'width' and 'height'."
                )
            name = "/".join(image["url"].split("/")[-1 if flat else -2 :])
            self.entries[image_id] = {**image, "file_name": name}

    def images(self, key: str) -> Iterator[tuple[int, SourceImage, list[Entry]]]:
        """Yield the images that the conversion accepts.

        Args:
            key: of an image's annotations in the annotation file.

        Yields:
            the id of an image, the image, and its annotations.

        Raises:
            AnnotationFileError: the file has no such annotations.
        """
        for _, listed in stream_entries(self.ann_file):
            image_id = _image_id(listed)
            if image_id is None or not isinstance(listed.get(key), list):
                raise AnnotationFileError(
                    f"'{self.ann_file}' has the entry {listed!r:.80}: expected Visual Genome's "
                    f"format, images with an id and '{key}'."
                )
            entry = self.entries.get(image_id)
            if entry is None:
                self.conversion.report.exclude("image", "not in image_data.json", f"id {image_id}")
                continue
            image = self.conversion.accept_image(
                entry, entry["file_name"], stated_size(entry), coco_id=entry.get("coco_id")
            )
            if image is not None:
                yield image_id, image, listed[key]

    def boxes(
        self,
        image: SourceImage,
        annotations: list[Entry],
        text_of: Callable[[Entry], str],
        size_keys: tuple[str, str],
    ) -> Iterator[tuple[Box, str]]:
        """Yield the boxes of an image (xyxy, pixels), clipped, with their texts.

        Args:
            image: the image.
            annotations: of the image.
            text_of: gives the text of an annotation's box; an empty text excludes the box.
            size_keys: the keys of width and height.
        """

        def valid_boxes() -> Iterator[tuple[Box, str]]:
            for annotation in annotations:
                text, problem = text_of(annotation), None
                try:
                    box = [parse_number(annotation.get(key)) for key in ("x", "y", *size_keys)]
                except InvalidValueError as error:
                    box, problem = [], error.reason
                if problem is None and (box[2] <= 0 or box[3] <= 0):
                    problem = "without area"
                if problem is None and not any(map(str.isalnum, text)):
                    problem = "without words"
                if problem is None:
                    left, top, width, height = box
                    yield (left, top, left + width, top + height), text
                else:
                    self.conversion.report.exclude("box", problem, image.file_name)

        return self.conversion.clip_boxes(image, valid_boxes())


def convert_regions(data: VisualGenome, *, max_chars: int) -> None:
    """Convert ``region_descriptions.json`` to one or more grounding records per image.

    Args:
        data: the images and the annotation file.
        max_chars: maximum length of a caption of more than one description.

    Raises:
        AnnotationFileError: the annotation file cannot be used.
    """
    conversion = data.conversion
    for image_id, image, annotated in data.images("regions"):
        described = data.boxes(image, annotated, _description, ("width", "height"))
        for caption in join_descriptions(described, max_chars):
            conversion.write_grounding(
                image, caption.text, caption.regions(), dict(img_id=image_id)
            )
    conversion.report.check_not_empty(data.ann_file)


def convert_objects(data: VisualGenome, *, num_names: int) -> None:
    """Convert ``objects.json`` to detection records, with the most frequent names as classes.

    Label 0 is the most frequent name.

    Args:
        data: the images and the annotation file.
        num_names: the number of names.

    Raises:
        DataError: another label map exists.
        AnnotationFileError: the annotation file cannot be used.
    """
    conversion = data.conversion
    table, frequency = BoxTable(), Counter[str]()
    images: dict[int, SourceImage] = {}
    for image_id, image, annotated in data.images("objects"):
        images[image_id] = image
        for box, name in data.boxes(image, annotated, _object_name, ("w", "h")):
            frequency[name] += 1
            table.add(image_id, box, name)
    names = sorted(frequency, key=lambda name: (-frequency[name], name))[:num_names]
    if names:
        conversion.write_label_map(names)
    labels = {name: label for label, name in enumerate(names)}
    for image_id, image in images.items():
        instances = []
        for box, name in table.boxes_of(image_id):
            if name in labels:
                instances.append((box, labels[name], name))
            else:
                reason = f"of names after the {num_names} most frequent"
                conversion.report.exclude("box", reason, name)
        conversion.write_detection(image, instances, dict(img_id=image_id))
    conversion.report.check_not_empty(data.ann_file)


def _image_id(entry: Any) -> int | None:
    """Return the id of an image, which version 1.0 calls ``id``."""
    image_id = entry.get("image_id", entry.get("id")) if isinstance(entry, dict) else None
    return image_id if isinstance(image_id, int) else None


def _description(region: Entry) -> str:
    """Return the description of a region, without double spaces and the final full stop."""
    return " ".join(str(region.get("phrase") or "").split()).strip(" .,;")


def _object_name(annotated: Entry) -> str:
    """Return the first of an object's names, in lower case."""
    names = annotated.get("names")
    first = names[0] if isinstance(names, list) and names else annotated.get("name")
    return " ".join(str(first or "").lower().split())
