"""Save images as files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from glip.utils.atomic_write import atomic_open, make_folder
from glip.utils.errors import StorageError


def save_image(path: str | PathLike[str], image: np.ndarray) -> None:
    """Save an image atomically; missing folders are created.

    Args:
        path: of the file; its extension is the format.
        image: RGB (H, W, 3), uint8.

    Raises:
        StorageError: the file cannot be written, or the format cannot hold the image.
    """
    path = Path(path)
    content = encode_image(image, path.suffix)
    make_folder(path.parent)
    with atomic_open(path) as file:
        file.write(content)


def encode_image(image: np.ndarray, extension: str) -> bytes:
    """Encode an image for a file with an extension.

    Args:
        image: RGB (H, W, 3), uint8.
        extension: such as ``.jpg``.

    Raises:
        StorageError: the format is unknown, or cannot hold the image.
    """
    try:
        is_encoded, content = cv2.imencode(extension, np.ascontiguousarray(image[..., ::-1]))
    except cv2.error:
        is_encoded = False
    if not is_encoded:
        height, width = image.shape[:2]
        raise StorageError(
            f"an image of {width} x {height} pixels cannot be saved with the extension "
            f"'{extension}': use .png, or a smaller image"
        )
    return content.tobytes()
