"""What the writers of the formats need, and the list of the formats."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from glip.labeling.files import OutputFiles, read_records
from glip.utils.errors import DataError
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from glip.labeling.image_list import ImageList, ListedImage

#: Format -> the module that writes it, with a function ``write_<format>``.
FORMATS = {
    "coco": "coco",
    "yolo": "yolo",
    "voc": "xml_files",
    "labelme": "labelme",
    "labelstudio": "label_studio",
    "cvat": "xml_files",
    "fiftyone": "fiftyone",
    "odvg": "odvg",
}
#: Format -> the files and folders that it writes, beside the COCO file.
TARGETS = {
    "coco": (),
    "yolo": ("labels", "images", "data.yaml"),
    "voc": ("annotations",),
    "labelme": ("labelme",),
    "labelstudio": ("tasks.json", "labeling_config.xml"),
    "cvat": ("annotations.xml", "cvat_labels.json"),
    "fiftyone": ("labels.json",),
    "odvg": ("odvg.jsonl", "label_map.json"),
}
#: Formats that XML restricts to certain characters.
_XML = ("voc", "cvat", "labelstudio")


@dataclass(frozen=True)
class Export:
    """A finished run to write.

    Attributes:
        files: of the run.
        names: of the classes; label i is ``names[i]``.
        model: name and version of the model, for formats that have a place for it.
        images: the images, in the order of the records.
        image_prefix: of the URLs of images in Label Studio.
    """

    files: OutputFiles
    names: list[str]
    model: str
    images: ImageList
    image_prefix: str = "/data/local-files/?d="

    @property
    def description(self) -> str:
        """What the labels are."""
        return "labels of a detector, not reviewed"

    def records(self) -> Iterator[dict[str, Any]]:
        """Read the records, one for each image that was read."""
        return read_records(self.files.detections)

    def records_with_images(self) -> Iterator[tuple[dict[str, Any], ListedImage]]:
        """Read the records with the images that they are of."""
        images = iter(self.images[index] for index in range(len(self.images)))
        for record in self.records():
            yield record, next(each for each in images if each.stem == record["stem"])

    def place_image(self, image: ListedImage, path: Path) -> None:
        """Put an image below the output."""
        if isinstance(image.source, str):
            self.files.place_image(image.source, None, path)
        else:
            self.files.place_image(None, image.source.read(), path)


def scoring(found: dict[str, Any]) -> dict[str, Any]:
    """Return what a box has of ``score``, ``probability`` and ``prompt``; a corrected one: none."""
    return {key: found[key] for key in ("score", "probability", "prompt") if key in found}


def image_name(image: ListedImage) -> str:
    """Return a name of an image's file that no other image has, with its extension."""
    return image.stem + PurePosixPath(image.file_name).suffix


def write_format(name: str, export: Export) -> list[Path]:
    """Write a format; return its main files."""
    module = importlib.import_module(f"glip.labeling.formats.{FORMATS[name]}")
    return getattr(module, f"write_{name}")(export)


def check_format(name: str, names: list[str], images: ImageList) -> None:
    """Check that a format can hold the names of classes and images.

    Raises:
        DataError: it cannot.
    """
    if name in _XML:
        files = (images[index].file_name for index in range(len(images)))
        for text in (*names, *(files if name != "labelstudio" else ())):
            if not all(map(_is_xml_character, text)):
                raise DataError(
                    f"the format {name} is XML, which cannot hold the name {shorten(text)}: rename "
                    "it, or choose another format"
                )


def _is_xml_character(char: str) -> bool:
    code = ord(char)
    return (
        char in "\t\n\r"
        or 0x20 <= code < 0xD800
        or 0xE000 <= code < 0xFFFE
        or 0x10000 <= code <= 0x10FFFF
    )
