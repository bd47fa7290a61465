"""Looking at image files without decoding them: are they there, and how large are they."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from glip.datasets.images import decode_image
from glip.utils.errors import DataError, ImageReadError

_ORIENTATION = 0x0112  # EXIF's tag; from 5 on the picture lies on its side


class ImageFolder:
    """The folder of a data set's images, if it is known.

    Args:
        root: of the images; None if the annotations have to say everything.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(self, root: Path | None) -> None:
        if root is not None and not root.is_dir():
            raise DataError(f"there is no folder '{root}'; give that of the images as --img-root.")
        self.root = root

    def problem(self, file_name: str) -> str | None:
        """Say if an image is not there; without a folder, none is missed."""
        # Unlike Path.is_file(), this says no to a name that is too long or holds a zero byte.
        if self.root is None or os.path.isfile(os.path.join(self.root, file_name)):
            return None
        return "not in --img-root"

    def size(self, file_name: str, *, decode: bool = False) -> tuple[int, int]:
        """Return height and width of an image in pixels.

        Args:
            file_name: below the folder.
            decode: decode the whole image, which finds out one that is cut off.

        Raises:
            ImageReadError: it is not there or no image, or there is no folder.
        """
        if self.root is None:
            raise ImageReadError(f"the size of '{file_name}' is not known; give --img-root.")
        try:
            with open(self.root / file_name, "rb") as file:
                return image_size(file, name=f"'{file_name}'", decode=decode)
        except (OSError, ValueError) as error:
            raise ImageReadError(f"cannot read '{file_name}': {error}") from error


def image_size(file: BinaryIO, *, name: str, decode: bool = False) -> tuple[int, int]:
    """Return height and width in pixels of an image as it is shown, upright.

    Args:
        file: at the start of the image.
        name: what to call it in an error.
        decode: decode the whole image.

    Raises:
        ImageReadError: it is no image, or with ``decode`` a damaged one.
    """
    if decode:
        height, width = decode_image(file.read(), name=name).shape[:2]
        return height, width
    try:
        with Image.open(file) as image:
            width, height = image.size
            return (width, height) if _lies_on_its_side(image) else (height, width)
    except Exception as error:  # Pillow's plugins raise all sorts
        raise ImageReadError(f"cannot read {name}: {type(error).__name__}: {error}") from error


def stated_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the ``height`` and ``width`` of an annotation file's image; None if not there.

    MDETR's files have them as texts, "500".
    """
    try:
        height, width = int(entry["height"]), int(entry["width"])
    except (KeyError, TypeError, ValueError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _lies_on_its_side(image: Image.Image) -> bool:
    """Whether EXIF turns a picture by 90 degrees; a broken EXIF block, as in decoding, does not."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:
        return False
