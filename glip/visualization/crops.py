"""Save a crop of each detection, in a folder for each phrase.

K detections in an image of H x W pixels.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from glip.utils.atomic_write import atomic_open, describe_write_errors, make_folder
from glip.utils.file_names import is_safe_name
from glip.utils.image_files import safe_file_name
from glip.visualization.placement import Rect

#: Characters of a phrase in the name of its folder.
_MAX_FOLDER = 60
#: Longest side of an image that a JPEG file can hold, in pixels.
_MAX_JPEG = 65500
_CROP = re.compile(r"(.+)_\d+\.(jpg|png)", re.DOTALL)


class SavedCrops(NamedTuple):
    """The crops of an image.

    Attributes:
        files: that were written.
        num_empty: number of detections without a crop: their boxes have no pixel in the image.
    """

    files: list[Path]
    num_empty: int


class CropFolder:
    """The folder of the crops of images; threads may share it.

    ``FOLDER/PHRASE/NAME_K.jpg`` is detection K of the image NAME. Names of phrases that cannot be
    those of a folder as they are get a digest, so that no two phrases share one. The crops that an
    earlier run left of an image are removed when those of the image are saved.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._earlier: dict[str, list[Path]] = defaultdict(list)
        for folder in path.iterdir() if path.is_dir() else ():
            for file in folder.rglob("*_*.*"):
                if found := _CROP.fullmatch(file.relative_to(folder).as_posix()):
                    self._earlier[found[1]].append(file)

    def save(
        self,
        name: str,
        boxes: Sequence[Sequence[float]],
        phrases: Sequence[str],
        numbers: Iterable[int],
        size: tuple[int, int],
        read: Callable[[Rect], np.ndarray],
    ) -> SavedCrops:
        """Save the crops of an image, each file atomically.

        Boxes are clipped to the image and rounded outwards.

        Args:
            name: of the image, without an extension; unique among the images.
            boxes: of its detections, xyxy in pixels (K, 4).
            phrases: K names.
            numbers: indices of the detections to save.
            size: height and width of the image.
            read: returns the pixels of a part of the image, RGB (h, w, 3), uint8.

        Raises:
            StorageError: a file cannot be written.
        """
        for earlier in self._earlier.pop(name, ()):
            with describe_write_errors(earlier):
                earlier.unlink(missing_ok=True)
        files, num_empty = [], 0
        for number in numbers:
            rect = clip(boxes[number], size)
            if rect is None:
                num_empty += 1
                continue
            extension = "jpg" if max(rect[2] - rect[0], rect[3] - rect[1]) <= _MAX_JPEG else "png"
            path = self.path / phrase_folder(phrases[number]) / f"{name}_{number}.{extension}"
            content = io.BytesIO()
            kind = "JPEG" if extension == "jpg" else "PNG"
            Image.fromarray(np.ascontiguousarray(read(rect))).save(content, kind, quality=95)
            make_folder(path.parent)
            with atomic_open(path) as file:
                file.write(content.getvalue())
            files.append(path)
        return SavedCrops(files, num_empty)


def clip(box: Sequence[float], size: tuple[int, int]) -> Rect | None:
    """Return the whole pixels that a box touches; None if none is in the image.

    Args:
        box: xyxy in pixels.
        size: height and width of the image.

    Example:
        >>> clip((-3.0, 2.5, 7.2, 9.0), (8, 20)), clip((30.0, 0.0, 40.0, 5.0), (8, 20))
        ((0, 2, 8, 8), None)
    """
    if not all(map(math.isfinite, box)):
        return None
    height, width = size
    x1, y1 = max(math.floor(box[0]), 0), max(math.floor(box[1]), 0)
    x2, y2 = min(math.ceil(box[2]), width), min(math.ceil(box[3]), height)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def phrase_folder(phrase: str) -> str:
    """Return the name of a phrase's folder.

    Example:
        >>> phrase_folder("red star"), phrase_folder("../cat")
        ('red star', '_cat-91249a68')
    """
    name = safe_file_name(phrase[:_MAX_FOLDER], "phrase")
    if name == phrase and is_safe_name(name):
        return name
    digest = hashlib.sha256(phrase.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name}-{digest[:8]}"
