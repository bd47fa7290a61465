"""Checks of image files without decoding them: whether they exist, and their size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from glip.datasets.images import read_image
from glip.utils.errors import DataError, ImageReadError, shorten
from glip.utils.image_files import readable_formats

_ORIENTATION = 0x0112  # EXIF's tag; from 5 on height and width are swapped


class ImageFolder:
    """The folder of a data set's images, if it is given.

    Args:
        root: the folder; None if only the annotations are used.

    Raises:
        DataError: the folder does not exist.
    """

    def __init__(self, root: Path | None) -> None:
        if root is not None and not root.is_dir():
            raise DataError(f"there is no folder '{root}'; give the image folder as --img-root.")
        self.root = root

    def problem(self, file_name: str) -> str | None:
        """Return what is wrong if an image file does not exist; without a folder, None."""
        # Unlike Path.is_file(), this accepts a name that is too long or holds a zero byte.
        if self.root is None or os.path.isfile(os.path.join(self.root, file_name)):
            return None
        return "not in --img-root"

    def size(self, file_name: str, *, decode: bool = False) -> tuple[int, int]:
        """Return height and width of an image in pixels.

        Args:
            file_name: below the folder.
            decode: decode the whole image, which detects a truncated file.

        Raises:
            ImageReadError: the file is missing or not an image, or no folder is given.
        """
        if self.root is None:
            raise ImageReadError(f"the size of '{file_name}' is unknown; give --img-root.")
        path = self.root / file_name
        if decode:
            height, width = read_image(path).shape[:2]
            return height, width
        if not os.path.isfile(path):
            raise ImageReadError(f"cannot read '{shorten(file_name)}': there is no such file.")
        try:
            with open(path, "rb") as file:
                return image_size(file, name=f"'{shorten(file_name)}'")
        except OSError as error:
            raise ImageReadError(
                f"cannot read '{shorten(file_name)}': {error.strerror or error}"
            ) from None


def image_size(file: BinaryIO, *, name: str) -> tuple[int, int]:
    """Return height and width of an image in pixels, with its EXIF orientation applied.

    Args:
        file: positioned at the start of the image.
        name: how error messages name the image.

    Raises:
        ImageReadError: it is not an image, or has more pixels than Pillow decodes.
    """
    try:
        with Image.open(file, formats=readable_formats()) as image:
            width, height = image.size
            return (width, height) if _is_transposed(image) else (height, width)
    except Exception as error:  # Pillow's plugins raise all sorts
        detail = shorten(str(error))
        raise ImageReadError(f"cannot read {name}: {type(error).__name__}: {detail}") from None


def stated_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the ``height`` and ``width`` of an image in an annotation file; None if missing.

    MDETR's files have them as strings, "500".
    """
    try:
        height, width = int(entry["height"]), int(entry["width"])
    except (KeyError, TypeError, ValueError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _is_transposed(image: Image.Image) -> bool:
    """Return whether EXIF rotates the image by 90 degrees; a broken EXIF block is ignored."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:
        return False
