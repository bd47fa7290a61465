"""Painting a scene over a photograph.

Shapes: a picture is (H, W, 3), RGB.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from glip.testing.shapes.scenes import COLORS, Scene, Thing, outline
from glip.utils.image_files import is_image_file

#: Things are drawn this much larger and made smaller, for smooth edges.
_FINE = 4

Box = tuple[float, float, float, float]


def load_backgrounds(folder: Path) -> list[Image.Image]:
    """Read all photographs of a folder, in the order of their names.

    Raises:
        FileNotFoundError: there is none.
    """
    found = sorted(filter(is_image_file, folder.glob("*")))
    if not found:
        raise FileNotFoundError(
            f"no .jpg or .png in {folder}: expected a folder of photographs to paint over, as "
            "demo/backgrounds of the repository"
        )
    return [Image.open(path).convert("RGB") for path in found]


def paint(
    scene: Scene, backgrounds: Sequence[Image.Image], rng: random.Random
) -> tuple[Image.Image, list[Box]]:
    """Paint a scene.

    Args:
        scene: what to paint.
        backgrounds: photographs to take the background from.
        rng: the source of chance.

    Returns:
        the picture, and for each thing its box, xyxy pixels, that of its whole shape even where
        another thing hides a part of it.
    """
    picture = _background(rng.choice(backgrounds), (scene.width, scene.height), rng)
    boxes = []
    for thing in scene.things:
        boxes.append(_paint_thing(picture, thing, rng))
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    return picture, boxes


def _background(photo: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """A part of a photograph, in other light."""
    share = rng.uniform(0.35, 1.0)
    scale = share * min(photo.width / size[0], photo.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    part = photo.resize(size, Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    part = ImageEnhance.Color(part).enhance(rng.uniform(0.2, 1.1))
    part = ImageEnhance.Contrast(part).enhance(rng.uniform(0.6, 1.1))
    return ImageEnhance.Brightness(part).enhance(rng.uniform(0.5, 1.15))


def _paint_thing(picture: Image.Image, thing: Thing, rng: random.Random) -> Box:
    """Paint a thing; return its box."""
    mask = _mask(thing)
    left = round(thing.center[0] - mask.width / 2)
    top = round(thing.center[1] - mask.height / 2)
    picture.paste(Image.fromarray(_fill(thing, mask.size, rng)), (left, top), mask)
    inside = np.asarray(mask) >= 128
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _mask(thing: Thing) -> Image.Image:
    """How much of each pixel the thing covers, 0 to 255."""
    side = thing.side * _FINE
    large = Image.new("L", (side, side))
    canvas = ImageDraw.Draw(large)
    for number, polygon in enumerate(outline(thing.shape)):
        points = [(x * (side - 1), y * (side - 1)) for x, y in polygon]
        canvas.polygon(points, fill=0 if number else 255)
    turned = large.rotate(thing.angle, Image.Resampling.BILINEAR, expand=True)
    size = (round(turned.width / _FINE), round(turned.height / _FINE))
    return turned.resize(size, Image.Resampling.BOX)


def _fill(thing: Thing, size: tuple[int, int], rng: random.Random) -> np.ndarray:
    """The thing's colours, (H, W, 3) uint8: shaded from one side to the other, and its texture."""
    color = np.array(COLORS[thing.color], dtype=np.float32)
    color = np.clip(color + [rng.uniform(-14, 14) for _ in range(3)], 0, 255)
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = rng.uniform(-0.16, 0.16)
    shade = 1 + slope * (2 * x / max(width - 1, 1) - 1)
    # Texture is in the brightness: the colour stays what its word says.
    period = max(4.0, thing.side / 6)
    if thing.texture == "striped":
        turn = rng.uniform(0, np.pi)
        along = x * np.cos(turn) + y * np.sin(turn)
        shade = shade * np.where(along % period < period / 2, 1.0, 0.58)
    elif thing.texture == "dotted":
        dots = (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2
        shade = shade * np.where(dots < (0.32 * period) ** 2, 0.5, 1.0)
    return np.clip(color * shade[..., None], 0, 255).astype(np.uint8)
