"""The file extensions of images, in one list."""

from __future__ import annotations

from os import PathLike
from pathlib import PurePath

#: File extensions of images, lowercase; Pillow reads and OpenCV writes all of them. Where several
#: files hold the same image, the first extension is preferred.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


def is_image_file(path: str | PathLike[str]) -> bool:
    """Return whether a path has the file extension of an image, in any letter case.

    The file is not opened.

    Example:
        >>> is_image_file("photos/a.JPG"), is_image_file("labels.json")
        (True, False)
    """
    return PurePath(path).suffix.lower() in IMAGE_EXTENSIONS
