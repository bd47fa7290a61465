"""The size of image files without decoding them, and its comparison with annotation files."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from mmengine.logging import print_log
from PIL import Image

from glip.datasets.image_paths import is_local
from glip.utils.errors import AnnotationFileError, ImageReadError
from glip.utils.image_files import readable_formats
from glip.utils.messages import shorten

_ORIENTATION = 0x0112  # EXIF's tag; from 5 on height and width are swapped

#: So many images, evenly spread, are looked up when the first one has another size than stated.
_SAMPLED = 200

#: Relative difference of a side from which on boxes are considered to be misplaced.
_TOLERANCE = 0.02


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


def file_size(path: str) -> tuple[int, int] | None:
    """Return height and width of an image file, upright, or None if it cannot be read."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            return image_size(file, name=f"'{path}'")
    except (OSError, ValueError):
        return None


def fill_sizes(infos: Iterable[dict[str, Any]], backend_args: dict[str, Any] | None = None) -> None:
    """Set unknown sizes of data infos to those of the local image files, in place."""
    for info in infos:
        known = info["width"] and info["height"]
        if known or not is_local(info["img_path"], backend_args):
            continue
        info["height"], info["width"] = file_size(info["img_path"]) or (0, 0)


def differs(size: tuple[int, int], stated: tuple[int, int]) -> bool:
    """Return whether boxes for an image of a stated size are misplaced in one of another size."""
    pairs = zip(size, stated, strict=True)
    return any(abs(side - other) > max(2, _TOLERANCE * other) for side, other in pairs)


def explain_difference(path: str, size: tuple[int, int], stated: tuple[int, int]) -> str:
    """Describe an image whose size is not the stated one; sizes are height and width."""
    what = f"'{path}' is {size[1]} x {size[0]}, the annotations say {stated[1]} x {stated[0]}"
    if size == stated[::-1]:
        return f"{what}: they seem to be made without its EXIF orientation"
    return what


def check_sizes(
    images: Sequence[tuple[str, tuple[int, int]]],
    example: tuple[str, tuple[int, int], tuple[int, int]],
    ann_file: str,
) -> None:
    """Warn that images have another size than the annotations say; raise if most do.

    Args:
        images: Path and stated size (height, width) of all images; local ones are looked up.
        example: Path, size and stated size of an image whose sizes differ.
        ann_file: Path of the annotation file.

    Raises:
        AnnotationFileError: Most of the images that were looked up have another size.
    """
    sample = images[:: max(len(images) // _SAMPLED, 1)]
    looked_up = wrong = 0
    for path, stated in sample:
        size = file_size(path) if all(stated) and is_local(path, None) else None
        if size is not None:
            looked_up += 1
            wrong += differs(size, stated)
    text = (
        f"{wrong} of {looked_up} images of '{ann_file}' that were looked up have another size than "
        f"the annotations say, so that boxes are misplaced. {explain_difference(*example)}. "
        "Annotate the upright images in the size they have. If the boxes do fit the images, "
        "correct 'width' and 'height', or delete them from the file."
    )
    if looked_up and 2 * wrong > looked_up:
        raise AnnotationFileError(text)
    if not wrong:
        text = f"'{ann_file}': {explain_difference(*example)}; boxes may be misplaced."
    print_log(text, logger="current", level=logging.WARNING)


def _is_transposed(image: Image.Image) -> bool:
    """Return whether EXIF rotates the image by 90 degrees; a broken EXIF block is ignored."""
    try:
        return image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:
        return False
