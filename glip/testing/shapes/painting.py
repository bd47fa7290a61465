"""Paint a scene over a photograph."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from glip.testing.shapes.scenes import COLORS, Scene, SceneObject, outline
from glip.utils.image_files import is_image_file

#: Objects are painted this many times larger and then downscaled, for smooth edges.
_SUPERSAMPLING = 4

Box = tuple[float, float, float, float]


def load_backgrounds(folder: Path) -> list[Image.Image]:
    """Read all photographs of a folder, sorted by name.

    Raises:
        FileNotFoundError: the folder has no photograph.
    """
    found = sorted(filter(is_image_file, folder.glob("*")))
    if not found:
        raise FileNotFoundError(
            f"no .jpg or .png in {folder}: expected a folder of photographs for the backgrounds, "
            "such as demo/backgrounds of the repository"
        )
    return [Image.open(path).convert("RGB") for path in found]


def paint(
    scene: Scene, backgrounds: Sequence[Image.Image], rng: random.Random
) -> tuple[Image.Image, list[Box]]:
    """Paint a scene.

    Args:
        scene: scene to paint.
        backgrounds: photographs to choose the background from.
        rng: random number generator.

    Returns:
        The RGB image, and the box of each object, xyxy in pixels; the box includes the parts that
        another object hides.
    """
    image = _background(rng.choice(backgrounds), (scene.width, scene.height), rng)
    boxes = []
    for item in scene.objects:
        boxes.append(_paint_object(image, item, rng))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    return image, boxes


def _background(photo: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Crop a photograph and change its colours at random."""
    fraction = rng.uniform(0.35, 1.0)
    scale = fraction * min(photo.width / size[0], photo.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    part = photo.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    part = ImageEnhance.Color(part).enhance(rng.uniform(0.2, 1.1))
    part = ImageEnhance.Contrast(part).enhance(rng.uniform(0.6, 1.1))
    return ImageEnhance.Brightness(part).enhance(rng.uniform(0.5, 1.15))


def _paint_object(image: Image.Image, item: SceneObject, rng: random.Random) -> Box:
    """Paint an object; return its box."""
    mask = _mask(item)
    left = round(item.center[0] - mask.width / 2)
    top = round(item.center[1] - mask.height / 2)
    image.paste(Image.fromarray(_fill(item, mask.size, rng)), (left, top), mask)
    inside = np.asarray(mask) >= 128
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _mask(item: SceneObject) -> Image.Image:
    """Return the coverage of each pixel by an object, 0 to 255."""
    side = item.side * _SUPERSAMPLING
    large = Image.new("L", (side, side))
    canvas = ImageDraw.Draw(large)
    for number, polygon in enumerate(outline(item.shape)):
        points = [(x * (side - 1), y * (side - 1)) for x, y in polygon]
        canvas.polygon(points, fill=0 if number else 255)
    rotated = large.rotate(item.angle, Image.Resampling.BILINEAR, expand=True)
    size = (round(rotated.width / _SUPERSAMPLING), round(rotated.height / _SUPERSAMPLING))
    return rotated.resize(size, Image.Resampling.BOX)


def _fill(item: SceneObject, size: tuple[int, int], rng: random.Random) -> np.ndarray:
    """Return the colours of an object, (H, W, 3) uint8, with a gradient and its texture."""
    color = np.array(COLORS[item.color], dtype=np.float32)
    color = np.clip(color + [rng.uniform(-14, 14) for _ in range(3)], 0, 255)
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = rng.uniform(-0.16, 0.16)
    shade = 1 + slope * (2 * x / max(width - 1, 1) - 1)
    # Textures change the brightness only, so that the name of the colour stays true.
    period = max(4.0, item.side / 6)
    if item.texture == "striped":
        angle = rng.uniform(0, np.pi)
        along = x * np.cos(angle) + y * np.sin(angle)
        shade = shade * np.where(along % period < period / 2, 1.0, 0.58)
    elif item.texture == "dotted":
        dots = (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2
        shade = shade * np.where(dots < (0.32 * period) ** 2, 0.5, 1.0)
    return np.clip(color * shade[..., None], 0, 255).astype(np.uint8)
