"""From pixels to the input of the image graph.

Shapes: an image of H x W pixels, h x w after resizing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from glip.runtime.manifest import Manifest
from glip.utils.image_sizes import official_size


def resized_size(height: int, width: int, manifest: Manifest) -> tuple[int, int]:
    """Return (h, w) to which an image of H x W pixels is resized."""
    if manifest.static is not None:
        high, wide = manifest.static
        ratio = min(high / height, wide / width)
        return min(max(int(height * ratio), 1), high), min(max(int(width * ratio), 1), wide)
    rule = manifest.resize
    new_width, new_height = official_size(width, height, rule["short"], rule["long"])
    return new_height, new_width


def resize(bgr: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Resize (H, W, 3) uint8 by the model's rule, antialiased bilinear as Pillow does."""
    height, width = resized_size(bgr.shape[0], bgr.shape[1], manifest)
    return np.asarray(Image.fromarray(bgr).resize((width, height), Image.Resampling.BILINEAR))


def normalize_and_pad(images: Sequence[np.ndarray], manifest: Manifest) -> np.ndarray:
    """Normalise images and pad them with zeros, right and bottom, to one size.

    Args:
        images: (h, w, 3) uint8, BGR.
        manifest: the model's settings.

    Returns:
        (B, 3, h', w') float32 with h' and w' the largest of the batch as multiples of
        ``size_divisor``, or the static size.
    """
    mean, std = (np.asarray(each, np.float32) for each in (manifest.mean, manifest.std))
    divisor = manifest.size_divisor
    if manifest.static is not None:
        height, width = manifest.static
    else:
        height, width = (
            -(-max(image.shape[axis] for image in images) // divisor) * divisor for axis in (0, 1)
        )
    batch = np.zeros((len(images), 3, height, width), np.float32)
    for row, image in zip(batch, images, strict=True):
        pixels = image[..., ::-1] if manifest.channels == "rgb" else image
        normalized = (pixels.astype(np.float32) - mean) / std
        row[:, : image.shape[0], : image.shape[1]] = normalized.transpose(2, 0, 1)
    return batch
