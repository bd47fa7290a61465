"""Images to exclude, so that a model is not trained on the images it is later tested on.

In any data set, an image of COCO is recognised by the twelve digits of its file name, which are its
id in COCO: ``COCO_train2014_000000581857.jpg``, ``000000581857.jpg``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from glip.converters.json_stream import stream_entries
from glip.datasets.annotation_file import check_exists
from glip.utils.errors import AnnotationFileError

_COCO_NAME = re.compile(r"(?:.*[/\\])?(?:COCO_\w+_)?(\d{12})\.\w+")


def coco_id(file_name: str) -> int | None:
    """Return the COCO id that a file name holds; None if it is not a file name of COCO.

    Example:
        >>> coco_id("train2014/COCO_train2014_000000581857.jpg")
        581857
        >>> coco_id("2386621.jpg") is None
        True
    """
    match = _COCO_NAME.fullmatch(file_name)
    return int(match[1]) if match else None


class ExcludedImages:
    """The images to exclude.

    Args:
        lists: files that name images: annotation files in COCO's or MDETR's format (``.json``), or
            text files with a file name or COCO id per line.
        all_coco: exclude every image of COCO.
        missing: file names of images that the data set annotates but does not contain.

    Raises:
        AnnotationFileError: a list does not exist or names no image.
    """

    def __init__(
        self, lists: Sequence[Path] = (), *, all_coco: bool = False, missing: Collection[str] = ()
    ) -> None:
        self.all_coco = all_coco
        self.missing = missing
        self.ids: set[int] = set()
        self.names: set[str] = set()
        for path in lists:
            listed = _read_list(path)
            if not listed:
                raise AnnotationFileError(
                    f"'{path}' names no image to exclude: expected an annotation file with "
                    "'images' (.json), or a text file with a file name or an id per line."
                )
            for name in listed:
                image_id = int(name) if name.isdecimal() else coco_id(name)
                if image_id is None:
                    self.names.add(_base_name(name))
                else:
                    self.ids.add(image_id)

    def reason(self, file_name: str, known_coco_id: int | None = None) -> str | None:
        """Return why an image is excluded; None if it is not.

        Args:
            file_name: of the image.
            known_coco_id: its id in COCO, if the data set states it.
        """
        image_id = coco_id(file_name) if known_coco_id is None else known_coco_id
        if image_id is not None and self.all_coco:
            return "of COCO"
        if image_id in self.ids or _base_name(file_name) in self.names:
            return "listed in --exclude-images"
        if file_name in self.missing:
            return "that the data set lacks"
        return None


def _read_list(path: Path) -> list[str]:
    """Read the file names or ids in a list of images."""
    check_exists(str(path))
    if path.suffix == ".json":
        images = (image for _, image in stream_entries(path, "images") if isinstance(image, dict))
        names = [image.get("file_name") or image.get("coco_url") for image in images]
        return [name for name in names if isinstance(name, str)]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationFileError(f"'{path}' is not a text file in UTF-8 ({error}).") from error
    return [line.strip() for line in lines if line.strip()]


def _base_name(file_name: str) -> str:
    return re.split(r"[/\\]", file_name)[-1]
