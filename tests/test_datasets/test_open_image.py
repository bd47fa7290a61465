"""One opener for every kind of image source, and the limits before decoding."""

import io
import os
import socket
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from glip.datasets import image_bytes
from glip.datasets.images import open_image, read_image, tensor_to_bgr
from glip.datasets.transforms import LoadImageFromFile, LoadImageFromNDArray
from glip.utils.errors import ConfigError, ImageReadError
from glip.utils.image_files import ImageLimits

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
BGR = RGB[:, :, ::-1]


def encoded(image=None, kind="PNG", **options):
    file = io.BytesIO()
    (image or Image.fromarray(RGB)).save(file, kind, **options)
    return file.getvalue()


class Reader:
    """An object with ``read`` alone, as of a socket."""

    def __init__(self, *blocks):
        self.blocks = list(blocks)

    def read(self, size=-1):
        return self.blocks.pop(0) if self.blocks else b""


def at_end(content):
    file = io.BytesIO(content)
    file.seek(0, io.SEEK_END)
    return file


TENSOR = torch.from_numpy(RGB.copy())


@pytest.mark.parametrize(
    "make",
    [
        lambda path: str(path),
        lambda path: path,
        lambda path: f"file://{path}",
        lambda path: f"file://localhost{path}",
        lambda path: f"file://{str(path).replace('a', '%61')}",
        lambda path: os.path.relpath(path),
        lambda path: path.read_bytes(),
        lambda path: bytearray(path.read_bytes()),
        lambda path: memoryview(path.read_bytes()),
        lambda path: io.BytesIO(path.read_bytes()),
        lambda path: at_end(path.read_bytes()),
        lambda path: open(path, "rb"),  # noqa: SIM115
        lambda path: open(path, "rb", buffering=0),  # noqa: SIM115
        lambda path: Reader(path.read_bytes()[:50], path.read_bytes()[50:]),
        lambda path: Image.open(path),
        lambda path: Image.fromarray(RGB),
        lambda path: BGR,
        lambda path: TENSOR,
        lambda path: TENSOR.permute(2, 0, 1),
        lambda path: TENSOR.permute(2, 0, 1).float() / 255,
        lambda path: TENSOR.permute(2, 0, 1).double().requires_grad_() / 255,
        lambda path: TENSOR.long(),
    ],
)  # fmt: skip
def test_all_kinds_give_the_same_pixels(tmp_path, make):
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    source = make(path)
    np.testing.assert_array_equal(open_image(source), BGR)
    if isinstance(source, io.IOBase):
        np.testing.assert_array_equal(open_image(source), BGR)  # read again from its start
        source.close()


@pytest.mark.parametrize("source", [None, 5, 1.5, {"a": 1}, {1}, [BGR], (1, 2), object(), len])
def test_other_types_are_listed(source):
    with pytest.raises(TypeError, match=r"Pillow image.*tensor.*got"):
        open_image(source)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(2, 3, 4, 4), "as a list"),
        (torch.zeros(5, 6, 7), "its shape"),
        (torch.zeros(3, 4, 3), "both"),
        (torch.zeros(3), "its shape"),
        (torch.zeros(3, 0, 4), "empty"),
        (torch.full((3, 4, 4), 255.0), "from 0 to 1"),
        (torch.full((3, 4, 4), -0.5), "from 0 to 1"),
        (torch.full((3, 4, 4), float("nan")), "from 0 to 1"),
        (torch.full((3, 4, 4), 256), "from 0 to 255"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "dtype"),
        (torch.zeros(3, 4, 4, dtype=torch.complex64), "dtype"),
        (torch.zeros(3, 4, 4, device="meta"), "dense"),
        (torch.zeros(3, 4).to_sparse(), "dense"),
    ],
)
def test_tensors_that_are_no_images(tensor, message):
    with pytest.raises(ImageReadError, match=message):
        tensor_to_bgr(tensor)


def test_tensor_layouts():
    assert tensor_to_bgr(torch.zeros(3, 9, 9)).shape == (9, 9, 3)
    assert tensor_to_bgr(torch.zeros(3, 20, 1)).shape == (20, 1, 3)
    assert tensor_to_bgr(torch.zeros(1, 20, 3)).shape == (1, 20, 3)
    assert tensor_to_bgr(torch.zeros(4, 5)).shape == (4, 5, 3)
    assert tensor_to_bgr(torch.ones(4, 5, 6, dtype=torch.bfloat16)).min() == 255
    rgba = torch.cat([TENSOR, TENSOR[..., :1]], dim=2)
    np.testing.assert_array_equal(tensor_to_bgr(rgba), BGR)


# Formats


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("L", "PNG", {}),
        ("LA", "PNG", {}),
        ("1", "PNG", {}),
        ("P", "GIF", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("CMYK", "TIFF", {}),
        ("I;16", "TIFF", {}),
        ("I;16B", "TIFF", {}),
        ("F", "TIFF", {}),
        ("L", "JPEG2000", {}),
        ("RGB", "QOI", {}),
        ("RGB", "ICO", {"sizes": [(7, 5)]}),  # Pillow 9 writes no smaller one unasked
        ("RGB", "TGA", {}),
    ],
)
def test_formats_and_modes(mode, kind, options):
    image = Image.fromarray(RGB[:, :, 0].astype("uint16")) if mode.startswith("I;16") else None
    try:
        image = Image.new(mode, (7, 5)) if image is None else image.convert(mode)
        content = encoded(image, kind, **options)
    except (KeyError, OSError, ValueError) as error:
        pytest.skip(f"this Pillow does not write it: {error}")
    pixels = read_image(content)
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame(kind):
    frames = [Image.new("RGB", (7, 5), color) for color in ("red", "blue", "green")]
    pixels = read_image(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert pixels[..., 2].min() > 240
    assert pixels[..., :2].max() < 15


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize("content", [EPS, b"%PDF-1.4\n", b"GRIB....1", b"\x00\x00\x01\xb3mpeg"])
def test_readers_that_are_not_safe_are_not_used(monkeypatch, content):
    from PIL import EpsImagePlugin

    def ghostscript(*args, **options):
        raise AssertionError("Ghostscript is started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", ghostscript)
    with pytest.raises(ImageReadError, match="not an image"):
        read_image(content)
    if content is EPS:
        with pytest.raises(ImageReadError, match="EPS is not decoded"):
            open_image(Image.open(io.BytesIO(content)))


# Files


def test_only_regular_files(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    os.symlink("/dev/zero", tmp_path / "b.jpg")
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(tmp_path / "c.jpg"))
        for name in "abc":
            with pytest.raises(ImageReadError, match="not a regular file"):
                read_image(tmp_path / f"{name}.jpg")
            with pytest.raises(ImageReadError, match="not a regular file"):
                read_image(tmp_path / f"{name}.jpg", backend_args={"backend": "local"})
    with pytest.raises(ImageReadError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the path is empty"),
        ("a\0.jpg", "NUL"),
        ("x" * 10_000, r"cannot be opened .{0,200}check the path"),
        ("s3://bucket/a.jpg", "petrel"),
        ("ftp://host/a.jpg", "no file backend for ftp://"),
        ("http:///a.jpg", "names no server"),
        ("file:///nowhere/a.jpg", "does not exist"),
        ("data:image/png;base64,AAAA", "data URL"),
        ("tar://x", "check the path or URL"),
        (b"setup.cfg-is-not-there", "not an image"),
        (__file__.encode(), "the bytes are the path"),
        (Reader(), "empty"),
    ],
)
def test_messages(source, message):
    with pytest.raises(ImageReadError, match=message) as info:
        open_image(source)
    assert len(str(info.value)) < 400
    assert info.value.__suppress_context__ or info.value.__context__ is None


def test_file_objects_that_give_no_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded())
    with open(tmp_path / "a.png", encoding="latin-1") as file, pytest.raises(TypeError, match="rb"):
        open_image(file)
    with pytest.raises(ImageReadError, match="closed"):
        open_image(file)
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    with pytest.raises(ImageReadError, match="closed"):
        open_image(closed)

    class Upload:
        async def read(self, size=-1):
            return b""

    with pytest.raises(TypeError, match="coroutine"):
        open_image(Upload())


# Limits


def test_limits(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded())
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes()), Reader(encoded())):
        with pytest.raises(ImageReadError, match="7 x 5 pixels and max_pixels is 34"):
            open_image(source, limits=ImageLimits(max_pixels=34))
    for source in (path, path.read_bytes(), io.BytesIO(path.read_bytes()), Reader(encoded())):
        with pytest.raises(ImageReadError, match="max_bytes"):
            open_image(source, limits=ImageLimits(max_bytes=50))
    assert open_image(path, limits=ImageLimits(35, len(encoded()))).shape == (5, 7, 3)
    for backend in ("pillow", "cv2"):
        load = LoadImageFromFile(imdecode_backend=backend, max_pixels=34)
        with pytest.raises(ImageReadError, match="max_pixels"):
            load({"img_path": str(path)})
        with pytest.raises(ImageReadError, match="max_bytes"):
            LoadImageFromFile(imdecode_backend=backend, max_bytes=9)({"img_path": str(path)})
    with pytest.raises(ImageReadError, match="max_pixels"):
        LoadImageFromNDArray(max_pixels=34)({"img": encoded()})


def test_limit_above_that_of_pillow(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageReadError, match="max_pixels"):
        read_image(encoded())
    assert read_image(encoded(), limits=ImageLimits(max_pixels=35)).shape == (5, 7, 3)
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize("value", [0, -1, 1.5, "9", True, float("nan")])
def test_limits_are_checked(value):
    with pytest.raises(ConfigError, match="max_pixels"):
        LoadImageFromFile(max_pixels=value)
    with pytest.raises(ConfigError, match="max_bytes"):
        ImageLimits(max_bytes=value)


def test_sparse_file_is_not_read(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ImageReadError, match=r"1,099,511,627,776 bytes"):
        read_image(tmp_path / "a.jpg")


# Downloads


class Server(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        kind = self.path.strip("/").partition("?")[0]
        self.send_response(404 if kind == "missing" else 200)
        if kind in ("short", "large", "lie"):
            self.send_header("Content-Length", {"short": "100", "lie": "9" * 30}.get(kind, "9999"))
        self.end_headers()
        self.wfile.write(encoded() if kind != "short" else b"12345")
        if kind == "endless":
            for _ in range(1000):
                self.wfile.write(bytes(1 << 16))
        if kind == "slow":
            self.wfile.flush()
            for _ in range(20):
                self.wfile.write(b"0")
                self.wfile.flush()
                time.sleep(0.1)


@pytest.fixture
def url(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_downloads(url, monkeypatch):
    np.testing.assert_array_equal(read_image(f"{url}/a?size=1"), BGR)
    limits = ImageLimits(max_bytes=5000)
    for kind, message in [
        ("missing", "404"),
        ("short", "ended after 5 of 100"),
        ("large", "max_bytes"),
        ("lie", "max_bytes"),
        ("endless", "max_bytes"),
    ]:
        with pytest.raises(ImageReadError, match=message):
            read_image(f"{url}/{kind}", limits=limits)
    monkeypatch.setattr(image_bytes, "HTTP_TOTAL_TIMEOUT", 0.3)
    with pytest.raises(ImageReadError, match="took more than"):
        read_image(f"{url}/slow")


def test_server_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(image_bytes, "HTTP_TIMEOUT", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(ImageReadError, match="timed out"),
    ):
        read_image(f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg")


def test_threads_share_sources(tmp_path):
    """File objects have a position, and Pillow decodes on first use."""
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    path = Path(tmp_path, "a.png")
    Image.fromarray(noise).save(path)
    with open(path, "rb") as file:
        sources = [Image.open(path), io.BytesIO(path.read_bytes()), file]
        results = []

        def run():
            results.extend(np.array_equal(open_image(each), noise[..., ::-1]) for each in sources)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [True] * 24
