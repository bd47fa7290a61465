"""Windows of tiled TIFF files hold what the decoded image holds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from glip.datasets.images import read_image
from glip.slicing import Window
from glip.slicing.sources import REDUCED_SIDE, DecodedImage, open_tiled, reduce_image
from glip.utils.errors import ImageReadError
from glip.utils.image_files import ImageLimits

tifffile = pytest.importorskip("tifffile")
LIMITS = ImageLimits()


def write(path, pixels, **options):
    options = {"tile": (64, 48), "photometric": "rgb" if pixels.ndim == 3 else None} | options
    tifffile.imwrite(path, pixels, **options)
    return str(path)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (203, 301, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": 2}]
)
def test_windows(pixels, tmp_path, options):
    path = write(tmp_path / "a.tif", pixels, **options)
    decoded = DecodedImage(read_image(path))
    with open_tiled(path, LIMITS) as tiled:
        assert (tiled.height, tiled.width) == (203, 301)
        for window in (Window(0, 0, 301, 203), Window(10, 20, 11, 21), Window(47, 63, 289, 193)):
            np.testing.assert_array_equal(tiled.read(window), decoded.read(window))


def test_gray(pixels, tmp_path):
    path = write(tmp_path / "a.TIFF", pixels[..., 0].copy(), photometric="minisblack")
    with open_tiled(path, LIMITS) as tiled:
        window = Window(0, 0, 301, 203)
        np.testing.assert_array_equal(tiled.read(window), read_image(path))


def test_reduced(tmp_path):
    large = np.zeros((40, 2 * REDUCED_SIDE + 3, 3), np.uint8)
    large[:, -3:] = 90
    small, factor = reduce_image(DecodedImage(large))
    assert factor == 3
    assert small.shape == (14, -(-large.shape[1] // 3), 3)
    assert small[0, -1].tolist() == [90] * 3  # the last pixels are repeated
    assert small[0, -2].tolist() == [30] * 3
    path = write(tmp_path / "a.tif", large, compression="zlib")
    with open_tiled(path, LIMITS) as tiled:
        np.testing.assert_array_equal(reduce_image(tiled)[0], small)


@pytest.mark.parametrize(
    "make",
    [
        lambda path, pixels: Image.fromarray(pixels).save(path),  # by strips
        lambda path, pixels: write(path, pixels.astype(np.uint16)),
        lambda path, pixels: write(path, np.dstack([pixels, pixels[..., :1]])),  # transparency
        lambda path, pixels: write(path, pixels, extratags=[(274, 3, 1, 6, True)]),  # rotated
        lambda path, pixels: write(path, np.moveaxis(pixels, 2, 0), planarconfig="separate"),
        lambda path, pixels: path.write_bytes(b"II*\0" + b"\xff" * 60),
        lambda path, pixels: path.write_bytes(b""),
        lambda path, pixels: None,
    ],
)
def test_left_to_pillow(make, pixels, tmp_path):
    make(tmp_path / "a.tif", pixels)
    assert open_tiled(tmp_path / "a.tif", LIMITS) is None


@pytest.mark.parametrize("image", [b"II*\0", np.zeros((8, 8, 3), np.uint8), "http://a/b.tif"])
def test_no_local_file(image):
    assert open_tiled(image, LIMITS) is None


def test_pixel_limit(pixels, tmp_path):
    path = write(tmp_path / "a.tif", pixels)
    with pytest.raises(ImageReadError, match="301 x 203 pixels and max_pixels is 1,000"):
        open_tiled(path, ImageLimits(max_pixels=1000))


def test_damaged_tile(pixels, tmp_path):
    path = write(tmp_path / "a.tif", pixels, compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages.first.dataoffsets[5]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + 200] = b"\x55" * 200
    (tmp_path / "a.tif").write_bytes(content)
    with (
        open_tiled(path, LIMITS) as tiled,
        pytest.raises(ImageReadError, match="tile 5 cannot be decoded"),
    ):
        tiled.read(Window(0, 0, 301, 203))


def test_implausible_tile(pixels, tmp_path):
    """A tile that claims the rest of a large file is not read."""
    path = write(tmp_path / "a.tif", pixels, compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as file:
        counts = list(file.pages.first.databytecounts)
        counts[3] = 1 << 31
        file.pages.first.tags["TileByteCounts"].overwrite(counts)
    with open_tiled(path, LIMITS) as tiled, pytest.raises(ImageReadError, match="tile 3 claims"):
        tiled.read(Window(0, 0, 301, 203))
