"""An image as a browser shows it."""

from __future__ import annotations

import uuid
import weakref
from pathlib import Path

import numpy as np
from PIL import Image

#: Longest side in pixels of the image that a browser gets; boxes are placed in percent.
SHOWN_SIDE = 1600
_QUALITY = 90  # of its JPEG file


class ShownImage:
    """An image as it is shown; its file is deleted with the object.

    Args:
        name: what the visitor calls it.
        pixels: BGR (H, W, 3).
        folder: of the file, which the server serves.

    Attributes:
        shown: RGB, at most :data:`SHOWN_SIDE` pixels wide and high.
        path: its file.
    """

    def __init__(self, name: str, pixels: np.ndarray, folder: Path) -> None:
        self.name = name
        self.height, self.width = pixels.shape[:2]
        image = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]))
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        self.shown = np.asarray(image)
        self.path = folder / f"{uuid.uuid4().hex}.jpg"
        image.save(self.path, quality=_QUALITY)
        weakref.finalize(self, self.path.unlink, missing_ok=True)
