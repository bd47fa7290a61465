"""Which images to leave out, so that what a model is later tested on was not trained on.

COCO's images are found in any data set that has them by the twelve digits of their file names,
which is their id there: ``COCO_train2014_000000581857.jpg``, ``000000581857.jpg``.
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
    """Return the id in COCO that a file name tells; None if it is no name of COCO's.

    Example:
        >>> coco_id("train2014/COCO_train2014_000000581857.jpg")
        581857
        >>> coco_id("2386621.jpg") is None
        True
    """
    match = _COCO_NAME.fullmatch(file_name)
    return int(match[1]) if match else None


class ExcludedImages:
    """The images to leave out.

    Args:
        lists: files that name images: annotation files in COCO's or MDETR's format (``.json``), or
            texts with a file name or an id of COCO's a line.
        all_coco: leave out every image of COCO.
        missing: file names of images that the data set annotates and does not have.

    Raises:
        AnnotationFileError: a list is not there or names nothing.
    """

    def __init__(
        self, lists: Sequence[Path] = (), *, all_coco: bool = False, missing: Collection[str] = ()
    ) -> None:
        self.all_coco = all_coco
        self.missing = missing
        self.ids: set[int] = set()
        self.names: set[str] = set()
        for path in lists:
            named = self.named_in(path)
            if not named:
                raise AnnotationFileError(
                    f"'{path}' names no image to leave out: expected an annotation file with "
                    "'images' (.json), or a text with a file name or an id a line."
                )
            for name in named:
                number = int(name) if name.isdecimal() else coco_id(name)
                if number is None:
                    self.names.add(_last(name))
                else:
                    self.ids.add(number)

    def reason(self, file_name: str, *, known_coco_id: int | None = None) -> str | None:
        """Say why an image is to be left out; None if it is not.

        Args:
            file_name: of the image.
            known_coco_id: its id in COCO, where the data set says it.
        """
        number = coco_id(file_name) if known_coco_id is None else known_coco_id
        if number is not None and self.all_coco:
            return "of COCO"
        if number in self.ids or _last(file_name) in self.names:
            return "listed in --exclude-images"
        if file_name in self.missing:
            return "that the data set lacks"
        return None

    @staticmethod
    def named_in(path: Path) -> list[str]:
        """Read the file names, or ids, that a list holds."""
        check_exists(str(path))
        if path.suffix == ".json":
            images = (image for _, image in stream_entries(path, "images"))
            names = [
                image.get("file_name") or image.get("coco_url")
                for image in images
                if isinstance(image, dict)
            ]
            return [name for name in names if isinstance(name, str)]
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise AnnotationFileError(f"'{path}' is no text in UTF-8 ({error}).") from error
        return [line.strip() for line in lines if line.strip()]


def _last(file_name: str) -> str:
    return re.split(r"[/\\]", file_name)[-1]
