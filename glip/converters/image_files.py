"""Checks of image files without decoding them: whether they exist, and their size."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from glip.datasets.annotation_values import InvalidValueError, parse_size
from glip.datasets.image_paths import other_names
from glip.datasets.image_sizes import differs, explain_difference, file_size, image_size
from glip.utils.errors import AnnotationFileError, DataError, ImageReadError
from glip.utils.messages import shorten

#: The sizes of so many images are compared with the annotations, then of every 50th.
_ALL_COMPARED, _COMPARED_STEP = 2000, 50


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
        self._renamed: dict[str, str] = {}  # name that exists -> name in the annotations
        self._num_compared = 0
        self._num_named = 0
        self._differing: list[str] = []

    def find(self, file_name: str) -> str:
        """Return the name of an image file as it exists in the folder.

        Names from Windows, and names that repeat the folder, are corrected, one to one
        (:mod:`glip.datasets.image_paths`); others are returned as they are.
        """
        if self.problem(file_name) is None:
            return file_name
        names = other_names(file_name)
        found = next((name for name in names if self.problem(name) is None), None)
        if found is None or self._renamed.setdefault(found, file_name) != file_name:
            return file_name
        return found

    def compare_size(self, file_name: str, stated: tuple[int, int]) -> None:
        """Compare the size of an image with the stated one; of many images, some are looked up."""
        self._num_named += 1
        sampled = self._num_named <= _ALL_COMPARED or self._num_named % _COMPARED_STEP == 0
        if self.root is None or not sampled:
            return
        path = os.path.join(self.root, file_name)
        size = file_size(path)
        if size is not None:
            self._num_compared += 1
            if differs(size, stated):
                self._differing.append(explain_difference(path, size, stated))

    def check(self) -> list[str]:
        """Return warnings about names and sizes.

        Raises:
            AnnotationFileError: most images have another size than the annotations say.
        """
        warnings = []
        if self._renamed:
            found, written = next(iter(self._renamed.items()))
            warnings.append(
                f"{len(self._renamed)} file names do not exist in --img-root as they are written, "
                f"and are those of files that do, for example {shorten(written)}: {shorten(found)}"
            )
        if self._differing:
            text = (
                f"{len(self._differing)} of {self._num_compared} images that were looked up have "
                "another size than the annotations say, so that boxes are misplaced: "
                f"{self._differing[0]}"
            )
            if 2 * len(self._differing) > self._num_compared:
                raise AnnotationFileError(
                    f"{text}. Annotate the upright images in the size they have, or correct "
                    "'width' and 'height'."
                )
            warnings.append(text)
        return warnings

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
            from glip.datasets.images import read_image  # imports torch

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


def stated_size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Return the ``height`` and ``width`` of an image in an annotation file; None if missing.

    MDETR's files have them as strings, "500".
    """
    try:
        width, height = parse_size(entry)
    except InvalidValueError:
        return None
    return (height, width) if width else None
