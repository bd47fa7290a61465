"""The images that a user passes: one, a list, a generator, a folder or a pattern."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image as PillowImage

from glip.datasets.image_bytes import file_path, url_scheme
from glip.datasets.images import ACCEPTED, check_source
from glip.utils.errors import ImageReadError, shorten
from glip.utils.image_files import is_image_file, safe_file_name
from glip.utils.tensors import is_tensor

_logger = logging.getLogger("glip")

_MAGIC = re.compile(r"[*?\[]")


class ImageInput(NamedTuple):
    """An image to detect in.

    Attributes:
        source: see :func:`glip.datasets.images.open_image`.
        name: of the files to save for it, without an extension; a relative path if the images are
            those of a folder and its subfolders. No two images have the same.
    """

    source: Any
    name: str


class ImageInputs:
    """Iterate over the images of an argument ``inputs``.

    A generator is consumed lazily, so that its images need not fit in memory together; all other
    inputs can be iterated over more than once.

    Args:
        inputs: an image (see :func:`glip.datasets.images.open_image`), a folder, a pattern such as
            ``'photos/*.jpg'``, a list, or another iterable of images.
        recursive: also search the subfolders of a folder; ``**`` in a pattern does so too.

    Attributes:
        count: number of images; None for a generator.
        is_single: whether ``inputs`` is an image, rather than several.

    Raises:
        ImageReadError: there are no images, or the folder cannot be searched.
        TypeError: ``inputs``, or an item of a list, is no image.
    """

    def __init__(self, inputs: Any, recursive: bool = False) -> None:
        self.is_single = False
        self._root: Path | None = None
        self._images: Iterable[Any]
        path = _local_path(inputs)
        if path is not None and os.path.isdir(path):
            self._root = Path(path)
            self._images = _search_folder(self._root, recursive)
        elif path is not None and _MAGIC.search(path) and not os.path.exists(path):
            self._images = _search_pattern(path)
        elif _is_image(inputs):
            self.is_single = True
            self._images = [inputs]
        elif isinstance(inputs, (Mapping, Set)) or not isinstance(inputs, Iterable):
            raise TypeError(
                f"expected images as {ACCEPTED}; or a folder, a pattern, a list or a generator of "
                f"images; got {type(inputs).__name__}."
            )
        else:
            self._images = inputs if isinstance(inputs, Iterator) else list(inputs)
        self.count: int | None = None
        if isinstance(self._images, list):
            self.count = len(self._images)
            if not self._images:
                raise ImageReadError("expected images, got an empty list")
            for image in self._images:
                check_source(image)

    def __iter__(self) -> Iterator[ImageInput]:
        """Yield the images with the names of their output files."""
        taken: Counter[str] = Counter()
        for index, source in enumerate(self._images):
            check_source(source)
            name = output_name(source, index, self._root)
            # File systems that ignore case must not mix up A.jpg and a.jpg.
            number, unique = taken[name.casefold()], name
            while unique.casefold() in taken:
                number += 1
                unique = f"{name}_{number}"
            taken[name.casefold()] = number
            taken.setdefault(unique.casefold(), 0)
            yield ImageInput(source, unique)


def list_images(inputs: Any, recursive: bool = False) -> list[Any]:
    """Return the images of a file, a folder, a pattern, an array or a list, in this order.

    The images of a folder are sorted by name. A line of the log counts the other files.

    Args:
        inputs: see :class:`ImageInputs`.
        recursive: also search the subfolders of a folder.

    Raises:
        ImageReadError: there are none.
        TypeError: ``inputs`` holds something else than images.
    """
    return [image.source for image in ImageInputs(inputs, recursive)]


def output_name(source: Any, index: int, root: Path | None = None) -> str:
    """Return the name, without an extension, of the files that are saved for an image.

    It is that of the image's file, if it has one, without what a file system cannot store, and
    else the number of the image. It never points out of the output folder.

    Args:
        source: the image.
        index: number of the image.
        root: the folder that was searched for images; the name is relative to it.

    Example:
        >>> output_name("photos/a.jpg", 0), output_name("https://host/b%2Fc.png?size=2", 1)
        ('a', 'b_c')
        >>> output_name("...jpg", 2)
        '00000002'
    """
    default = f"{index:08d}"
    if root is not None:
        *folders, name = Path(source).relative_to(root).parts
        return "/".join([*(safe_file_name(part, "_") for part in folders), _stem(name, default)])
    text = source if isinstance(source, (str, os.PathLike)) else _file_name_of(source)
    path = os.fsdecode(text) if text else ""
    if url_scheme(path) == "data":
        return default
    if url_scheme(path) in ("http", "https"):
        try:
            path = urlsplit(path).path
        except ValueError:  # not a URL; reported when it is opened
            return default
        return _stem(unquote(path.rstrip("/").rpartition("/")[2]), default)
    return _stem(PurePath(path).name, default)


def _stem(name: str, default: str) -> str:
    """Return a file name without its extension, if a file may have this name."""
    stem, extension = os.path.splitext(name)
    if name.startswith(".") and not extension:  # ".jpg" and "...jpg" have no stem
        stem = ""
    return safe_file_name(stem, default)


def _file_name_of(source: Any) -> str | None:
    """Return the file name that a file object or a Pillow image knows."""
    if isinstance(source, (bytes, bytearray, memoryview, np.ndarray)) or is_tensor(source):
        return None
    for attribute in ("filename", "name"):
        name = getattr(source, attribute, None)
        if isinstance(name, str) and name:
            return name
    return None


def _is_image(inputs: Any) -> bool:
    """Return whether an argument is an image; arrays and files are iterable, but are one image."""
    files = (str, os.PathLike, bytes, bytearray, memoryview)
    if isinstance(inputs, (*files, PillowImage.Image, np.ndarray)) or is_tensor(inputs):
        return True
    return callable(getattr(inputs, "read", None))


def _local_path(inputs: Any) -> str | None:
    """Return the path of an argument that is one; None for URLs and other kinds of images."""
    if not isinstance(inputs, (str, os.PathLike)):
        return None
    text = os.fsdecode(inputs)
    if not text:
        raise ImageReadError("expected an image, got an empty path")
    scheme = url_scheme(text)
    if "\0" in text or scheme not in (None, "file"):
        return None
    return file_path(text) if scheme else text


def _search_folder(folder: Path, recursive: bool) -> list[Path]:
    """Return the image files of a folder, sorted, and log what was left out."""
    images: list[Path] = []
    others: list[Path] = []
    subfolders: list[Path] = []
    failed: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=failed.append):
        paths = [Path(parent, name) for name in files]
        for path in paths:
            is_image = is_image_file(path) and path.is_file()
            (images if is_image else others).append(path)
        if not recursive:
            subfolders = [Path(parent, name) for name in folders]
            break
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    if failed and not images:
        problem = failed[0].strerror or type(failed[0]).__name__
        raise ImageReadError(f"the folder '{shorten(str(folder))}' cannot be read: {problem}")
    notes = _notes(others, subfolders, failed)
    if not images:
        raise ImageReadError(
            f"the folder '{shorten(str(folder))}' has no images: expected regular files that "
            f"Pillow opens, such as .jpg, .png or .webp{notes}"
        )
    if notes:
        _logger.warning("%s: %d images%s", shorten(str(folder)), len(images), notes)
    return sorted(images)


def _search_pattern(pattern: str) -> list[str]:
    """Return the image files that a pattern matches, sorted, and log what was left out."""
    matches = [path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path)]
    images = sorted(path for path in matches if is_image_file(path) and os.path.isfile(path))
    notes = _notes(sorted({Path(path) for path in matches} - {Path(path) for path in images}))
    if not images:
        raise ImageReadError(
            f"the file or pattern '{shorten(pattern)}' matches no image: expected regular files "
            f"that Pillow opens{notes}"
        )
    if notes:
        _logger.warning("%s: %d images%s", shorten(pattern), len(images), notes)
    return images


def _notes(
    others: list[Path], subfolders: list[Path] | None = None, failed: list[OSError] | None = None
) -> str:
    """Say how many files and folders were left out, with an example of each."""
    notes = ""
    if others:
        example = shorten(min(others).name)
        notes += f"; skipped {len(others)} files that are hidden or no images, such as {example}"
    if subfolders:
        example = shorten(min(subfolders).name)
        notes += (
            f"; {len(subfolders)} subfolders such as {example} are searched with recursive=True "
            "(--recursive)"
        )
    if failed:
        notes += f"; {len(failed)} subfolders cannot be read, such as {failed[0].filename}"
    return notes
