"""Every kind of image a user may bring, and every way in which one may be broken."""

import io
import pickle
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from glip.datasets.images import array_to_bgr, read_image, to_bgr
from glip.utils.errors import ImageReadError

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture
def rgb():
    """A small image without symmetry, (5, 7, 3)."""
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.fixture
def gray16():
    """16-bit gray values (2, 3) and what they are in 8 bits."""
    values = np.array([[0, 257, 25700], [128, 129, 65535]], dtype=np.uint16)
    return values, np.array([[0, 1, 100], [0, 1, 255]], dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def as_gray(bgr):
    """The one channel of a gray image that was given three."""
    assert bgr.shape[2] == 3
    assert (bgr == bgr[:, :, :1]).all()
    return bgr[:, :, 0]


@pytest.mark.parametrize("convert", [str, lambda path: path, lambda path: path.read_bytes()])
def test_color_from_path_and_bytes(tmp_path, rgb, convert):
    path = tmp_path / "an image (1).png"
    Image.fromarray(rgb).save(path)
    image = read_image(convert(path))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, rgb[:, :, ::-1])


def test_backend_args(tmp_path, rgb):
    path = tmp_path / "a.png"
    Image.fromarray(rgb).save(path)
    image = read_image(path, backend_args={"backend": "local"})
    np.testing.assert_array_equal(image, rgb[:, :, ::-1])


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),  # over the other diagonal
        (8, lambda a: np.rot90(a, 1)),
    ],
)
def test_exif_orientation(rgb, orientation, undo):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(Image.fromarray(rgb), exif=exif)
    np.testing.assert_array_equal(read_image(content), undo(rgb)[:, :, ::-1])
    # The same through an opened Pillow image: one file, one result.
    np.testing.assert_array_equal(to_bgr(Image.open(io.BytesIO(content))), read_image(content))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_ignored(rgb):
    content = encoded(Image.fromarray(rgb), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xffjunk")
    assert read_image(content).shape == (5, 7, 3)


def test_gray(rgb):
    content = encoded(Image.fromarray(rgb[:, :, 0]))
    np.testing.assert_array_equal(as_gray(read_image(content)), rgb[:, :, 0])


def test_one_bit(rgb):
    bits = rgb[:, :, 0] > 127
    content = encoded(Image.fromarray(bits))
    np.testing.assert_array_equal(as_gray(read_image(content)), bits * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_gray_is_scaled(gray16, kind):
    values, expected = gray16
    content = encoded(Image.fromarray(values), kind)
    np.testing.assert_array_equal(as_gray(read_image(content)), expected)


def test_big_endian_16_bit(gray16):
    values, expected = gray16
    image = Image.frombytes("I;16B", (3, 2), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(as_gray(to_bgr(image)), expected)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_wide_modes_are_scaled(gray16, kind):
    values, expected = gray16
    content = encoded(Image.fromarray(values.astype(kind)), "TIFF")
    np.testing.assert_array_equal(as_gray(read_image(content)), expected)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_wide_modes_with_8_bit_values_stay(kind):
    values = np.arange(256, dtype=kind).reshape(16, 16)
    content = encoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(as_gray(read_image(content)), values.astype(np.uint8))


def test_float_from_zero_to_one():
    values = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    content = encoded(Image.fromarray(values), "TIFF")
    expected = np.arange(256).reshape(16, 16)
    np.testing.assert_array_equal(as_gray(read_image(content)), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 70000.0])
def test_wide_values_that_are_no_pixels(value):
    image = Image.fromarray(np.array([[0, value]], dtype=np.float32))
    with pytest.raises(ImageReadError, match="0 to 65535"):
        to_bgr(image)


def test_cmyk(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 8), (0, 255, 255, 0)).save(path, quality=95)  # red
    image = read_image(path)
    assert image.shape == (8, 16, 3)
    assert np.abs(image.astype(int) - [0, 0, 255]).max() <= 3


def test_alpha_is_dropped(rgb):
    alpha = np.full((5, 7, 1), 40, np.uint8)
    content = encoded(Image.fromarray(np.concatenate([rgb, alpha], axis=2)))
    np.testing.assert_array_equal(read_image(content), rgb[:, :, ::-1])
    content = encoded(Image.merge("LA", [Image.new("L", (4, 3), 90), Image.new("L", (4, 3), 0)]))
    np.testing.assert_array_equal(as_gray(read_image(content)), np.full((3, 4), 90))


@pytest.mark.parametrize("transparency", [None, 1, b"\x00\x80"])
def test_palette(transparency):
    image = Image.fromarray(np.array([[0, 1, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    options = {} if transparency is None else {"transparency": transparency}
    content = encoded(image, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bgr = read_image(content)
    np.testing.assert_array_equal(bgr, [[[30, 20, 10], [50, 100, 200], [50, 100, 200]]])


def test_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(content)[0, 0], [0, 0, 255])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F"])
def test_one_pixel(mode):
    assert to_bgr(Image.new(mode, (1, 1))).shape == (1, 1, 3)


def test_missing(tmp_path):
    with pytest.raises(ImageReadError, match=r"nothing\.jpg'.*does not exist.*check the path"):
        read_image(tmp_path / "nothing.jpg")


def test_folder(tmp_path):
    with pytest.raises(ImageReadError, match="is a folder"):
        read_image(tmp_path)


def test_below_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ImageReadError):
        read_image(tmp_path / "file" / "a.jpg")


@pytest.mark.parametrize("path", ["nowhere://a.jpg", "http://a://b", "a\0b.jpg", "a" * 300])
def test_strange_paths(path):
    with pytest.raises(ImageReadError, match="check the path or URL"):
        read_image(path)


def test_text_file(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("This is not an image.")
    with pytest.raises(ImageReadError, match=r"notes\.jpg.*not an image"):
        read_image(path)


def test_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ImageReadError, match="empty"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_truncated(kind, part):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), kind)
    cut = content[: int(len(content) * part)]
    with pytest.raises(ImageReadError, match="the image given as bytes"):
        read_image(cut)


def test_truncated_says_so(tmp_path, rgb):
    path = tmp_path / "half.jpg"
    content = encoded(Image.fromarray(np.tile(rgb, (20, 20, 1))), "JPEG")
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageReadError, match=r"half\.jpg.*truncated"):
        read_image(path)


def test_truncated_pillow_image(rgb):
    content = encoded(Image.fromarray(np.tile(rgb, (20, 20, 1))), "JPEG")
    with pytest.raises(ImageReadError, match="truncated"):
        to_bgr(Image.open(io.BytesIO(content[: len(content) // 2])))


def test_decompression_bomb(monkeypatch, rgb):
    content = encoded(Image.fromarray(rgb))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageReadError, match="MAX_IMAGE_PIXELS"):
        read_image(content)


def test_not_enough_memory(monkeypatch):
    image = Image.new("RGB", (2, 2))
    monkeypatch.setattr(image, "load", lambda: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(ImageReadError, match="not enough memory"):
        to_bgr(image)


def test_pillow_image_without_pixels():
    with pytest.raises(ImageReadError, match="empty"):
        to_bgr(Image.new("RGB", (0, 4)))


def test_other_types():
    with pytest.raises(TypeError, match="array_to_bgr"):
        read_image(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(TypeError, match="list"):
        array_to_bgr([[0, 1]])


def test_error_survives_a_worker_process(tmp_path):
    """Data loader workers pickle an error, or make one anew from its message."""
    with pytest.raises(ImageReadError) as info:
        read_image(tmp_path)
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)
    assert isinstance(ImageReadError("message"), ValueError)


def test_url(tmp_path, rgb, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    Image.fromarray(rgb).save(tmp_path / "a.png")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        np.testing.assert_array_equal(read_image(f"{root}/a.png"), rgb[:, :, ::-1])
        with pytest.raises(ImageReadError, match=r"b\.png.*404"):
            read_image(f"{root}/b.png")
        server.shutdown()


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_gray_array(rgb, shape):
    gray = rgb[:, :, 0]
    np.testing.assert_array_equal(as_gray(array_to_bgr(gray.reshape(shape))), gray)


def test_bgr_array_is_not_copied(rgb):
    assert np.shares_memory(array_to_bgr(rgb), rgb)


def test_array_with_alpha(rgb):
    with_alpha = np.concatenate([rgb, rgb[:, :, :1]], axis=2)
    np.testing.assert_array_equal(array_to_bgr(with_alpha), rgb)


@pytest.mark.parametrize("kind", [np.int64, np.int16, np.float32, np.float64])
def test_array_of_another_type(rgb, kind):
    image = array_to_bgr(rgb.astype(kind))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, rgb)


def test_float_array_is_rounded():
    np.testing.assert_array_equal(array_to_bgr(np.array([[0.4, 1.6, 254.7]]))[0, :, 0], [0, 2, 255])


def test_uint16_array(gray16):
    values, expected = gray16
    np.testing.assert_array_equal(as_gray(array_to_bgr(values)), expected)
    dark = np.full((2, 2), 128, np.uint16)  # also where a file would be taken for 8-bit
    assert array_to_bgr(dark).max() == 0


def test_black_float_array():
    assert array_to_bgr(np.zeros((2, 2, 3))).max() == 0


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 5), np.uint8), "channels last"),  # five channels
        (np.zeros((3, 20, 30), np.uint8), "channels last"),  # channels first
        (np.zeros((1, 4, 5, 3), np.uint8), "channels last"),  # a batch
        (np.zeros(4, np.uint8), "channels last"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.full((2, 2), 0.5), "multiply it by 255"),
        (np.full((2, 2), 256.0), "from 0 to 255"),
        (np.full((2, 2), -1), "from 0 to 255"),
        (np.full((2, 2), np.nan), "from 0 to 255"),
        (np.zeros((2, 2), bool), "convert it to uint8"),
        (np.full((2, 2), "a"), "convert it to uint8"),
    ],
)
def test_arrays_that_are_no_images(array, message):
    with pytest.raises(ImageReadError, match=message):
        array_to_bgr(array)
