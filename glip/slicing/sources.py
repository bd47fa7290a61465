"""Large images that are read by windows: decoded ones, and tiled TIFF files.

Shapes: H x W pixels of the image.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from glip.datasets.image_bytes import failure, file_path, image_name, url_scheme
from glip.slicing.grid import Window
from glip.utils.image_files import ImageLimits
from glip.utils.messages import shorten

#: Long side of a reduced image, in pixels: three times that of the network's input (1333), so that
#: resizing it once more loses little. A tiled image is reduced to detect in it as a whole.
REDUCED_SIDE = 4000
#: Largest compressed tile, in parts of its pixels' bytes: compression never adds that much.
_MAX_TILE_BYTES = 2
_PIXELS_OF_PILLOW = 178_956_970  # 2 * PIL.Image.MAX_IMAGE_PIXELS
_STRIP = 256  # rows that are read at once, or a few more
# Values of TIFF tags.
_RGB, _MINISBLACK, _CONTIGUOUS = 2, 1, 1


class ImageSource(Protocol):
    """An image of which windows are read."""

    height: int
    width: int

    def read(self, window: Window) -> np.ndarray:
        """Return the pixels (h, w, 3) of a window, uint8, BGR."""
        ...


class DecodedImage:
    """An image in memory.

    Args:
        pixels: (H, W, 3) or (H, W), BGR.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def read(self, window: Window) -> np.ndarray:
        """Return the pixels of a window; a view."""
        return self.pixels[window.y1 : window.y2, window.x1 : window.x2]


class TiledTiff:
    """A tiled TIFF file, of which only the tiles of a window are decoded.

    Use it as a context manager, or :meth:`close` it. Its size in bytes has no limit, since it is
    never read as a whole; a tile is read only if its bytes are plausible.

    Args:
        path: of the file.
        limits: of its pixels.

    Raises:
        ImageReadError: the file is damaged, or has too many pixels.
    """

    def __init__(self, path: str, limits: ImageLimits) -> None:
        import tifffile

        self._name = image_name(path)
        self._file = tifffile.TiffFile(path)
        try:
            self._page = self._file.pages.first
            self.height, self.width = self._page.imagelength, self._page.imagewidth
            allowed = limits.max_pixels or _PIXELS_OF_PILLOW
            if self.height * self.width > allowed:
                raise failure(
                    self._name,
                    f"it has {self.width} x {self.height} pixels and max_pixels is {allowed:,}",
                    "raise max_pixels if you trust its source",
                )
            self._tile = self._page.tilelength, self._page.tilewidth
            self._across = -(-self.width // self._tile[1])
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> TiledTiff:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, window: Window) -> np.ndarray:
        """Return the pixels of a window.

        Raises:
            ImageReadError: a tile is damaged.
        """
        length, width = self._tile
        pixels = np.empty((window.y2 - window.y1, window.x2 - window.x1, 3), np.uint8)
        for row in range(window.y1 // length, -(-window.y2 // length)):
            for column in range(window.x1 // width, -(-window.x2 // width)):
                tile = self._read_tile(row * self._across + column)
                top, left = row * length, column * width
                y1, y2 = max(top, window.y1), min(top + len(tile), window.y2)
                x1, x2 = max(left, window.x1), min(left + tile.shape[1], window.x2)
                pixels[y1 - window.y1 : y2 - window.y1, x1 - window.x1 : x2 - window.x1] = tile[
                    y1 - top : y2 - top, x1 - left : x2 - left
                ]
        return pixels

    def _read_tile(self, index: int) -> np.ndarray:
        """Return a tile's pixels within the image, (h, w, 3), BGR."""
        page = self._page
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        length, width = self._tile
        if count > _MAX_TILE_BYTES * length * width * page.samplesperpixel + 65536:
            raise failure(
                self._name, f"tile {index} claims {count:,} bytes", "check that it is not damaged"
            )
        try:
            handle = self._file.filehandle
            handle.seek(offset)
            tile = page.decode(handle.read(count), index)[0]
        except Exception as error:  # each codec raises errors of its own
            detail = f"{type(error).__name__}: {shorten(str(error))}"
            problem = f"tile {index} cannot be decoded ({detail})"
            raise failure(self._name, problem, "check that it is not damaged") from None
        if tile is None:  # stored without data: zeros, as the format says
            tile = np.zeros((1, length, width, page.samplesperpixel), np.uint8)
        tile = tile[0, ..., :3]
        return tile[..., ::-1] if tile.shape[2] == 3 else np.repeat(tile[..., :1], 3, axis=2)


def open_tiled(image: Any, limits: ImageLimits) -> TiledTiff | None:
    """Open an image by tiles, if it is a tiled TIFF file and tifffile is installed.

    Files of other kinds than 8-bit RGB or grayscale without an orientation or transparency are
    left to Pillow.

    Args:
        image: a path or a URL; anything else is no file.
        limits: of its pixels.

    Returns:
        The image, or ``None``: decode it as a whole.

    Raises:
        ImageReadError: the file has too many pixels.
    """
    if not isinstance(image, (str, os.PathLike)):
        return None
    path = os.fsdecode(image)
    if url_scheme(path) == "file":
        path = file_path(path)
    if not path.lower().endswith((".tif", ".tiff")) or not os.path.isfile(path):
        return None
    try:
        import tifffile
    except ImportError:
        return None
    try:
        with tifffile.TiffFile(path) as file:
            if not _is_readable(file.pages.first):
                return None
    except Exception:  # no TIFF, or a damaged one: Pillow reports what is wrong
        return None
    return TiledTiff(path, limits)


def _is_readable(page: Any) -> bool:
    """Return whether the tiles of a page are 8-bit RGB or grayscale, and their codec is there."""
    samples = {_RGB: 3, _MINISBLACK: 1}.get(int(page.photometric))
    orientation = page.tags.get("Orientation")
    if not (
        page.is_tiled
        and page.dtype == np.uint8
        and page.bitspersample == 8
        and page.samplesperpixel == samples
        and page.imagedepth == page.tiledepth == 1
        and int(page.planarconfig) == _CONTIGUOUS
        and (orientation is None or int(orientation.value) == 1)
    ):
        return False
    offset, count = page.dataoffsets[0], page.databytecounts[0]
    handle = page.parent.filehandle
    handle.seek(offset)
    tile = page.decode(handle.read(min(count, 1 << 26)), 0)[0]
    return tile is None or tile.shape[0] == 1


def reduce_image(source: ImageSource) -> tuple[np.ndarray, int]:
    """Return the whole image, reduced by a whole number, and that number.

    Each pixel is the mean of ``factor`` x ``factor`` pixels; the long side has at most
    :data:`REDUCED_SIDE`. The image is read by strips.

    Raises:
        ImageReadError: a part cannot be decoded.
    """
    factor = -(-max(source.height, source.width) // REDUCED_SIDE)
    step = -(-_STRIP // factor) * factor
    strips = []
    for y in range(0, source.height, step):
        strip = source.read(Window(0, y, source.width, min(y + step, source.height)))
        strips.append(_mean_of_blocks(strip, factor))
    return np.concatenate(strips), factor


def _mean_of_blocks(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Return the means of blocks of pixels; a block at the border repeats its last pixels."""
    height, width = pixels.shape[:2]
    pad = ((0, -height % factor), (0, -width % factor), (0, 0))
    padded = np.pad(pixels, pad, mode="edge") if factor > 1 else pixels
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    blocks = padded.reshape(rows, factor, columns, factor, 3)
    return blocks.mean((1, 3), dtype=np.float32).round().astype(np.uint8)
