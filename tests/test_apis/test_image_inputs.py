"""Folders, patterns, lists and generators of images, and the names of their results."""

import io
import logging
import os

import numpy as np
import pytest
from PIL import Image

from glip.apis.image_inputs import ImageInputs, list_images, output_name
from glip.utils.errors import ImageReadError

IMAGE = Image.new("RGB", (40, 30))
FILES = ("a.jfif", "b.JPG", "c.gif", "d.jpe", "e.bmp", "f.tga", "g.jp2", "h.webp", "i.pcx", "j.tif")


@pytest.fixture
def folder(tmp_path):
    """Images of ten file extensions, and everything that is not one."""
    for name in FILES:
        kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(name[1:])
        IMAGE.save(tmp_path / name, kind)
    for name in ("._b.JPG", ".hidden.png", "notes.txt", "x.eps", "x.pdf", "x.mpg", "x.h5", "jpg"):
        (tmp_path / name).write_bytes(b"\0")
    os.mkfifo(tmp_path / "fifo.jpg")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    os.symlink("nowhere.png", tmp_path / "broken.png")
    for name in ("sub/deep", "sub.jpg", ".git"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("sub/a.png", "sub/deep/a.png", ".git/a.png"):
        IMAGE.save(tmp_path / name)
    return tmp_path


def names(images):
    return [os.path.basename(path) for path in images]


def test_folder(folder, caplog):
    with caplog.at_level(logging.WARNING, logger="glip"):
        assert names(list_images(folder)) == list(FILES)
    assert caplog.text.count("\n") == 1
    assert "10 images; skipped 11 files" in caplog.text
    assert "3 subfolders" in caplog.text
    assert names(list_images(f"file://{folder}")) == list(FILES)


def test_recursive(folder):
    inputs = ImageInputs(folder, recursive=True)
    assert inputs.count == 12
    assert [each.name for each in inputs][-2:] == ["sub/a", "sub/deep/a"]
    (folder / "sub" / "a.png").unlink()
    with pytest.raises(ImageReadError, match="1 subfolders such as deep"):
        list_images(folder / "sub")


def test_pattern(folder, caplog):
    assert names(list_images(f"{folder}/[a-c].*")) == ["a.jfif", "b.JPG", "c.gif"]
    assert names(list_images(f"{folder}/**/a.png")) == ["a.png", "a.png"]
    with caplog.at_level(logging.WARNING, logger="glip"):
        assert names(list_images(f"{folder}/*")) == list(FILES)
    assert "skipped" in caplog.text
    with pytest.raises(ImageReadError, match="matches no image"):
        list_images(f"{folder}/*.txt")
    IMAGE.save(folder / "x[1].png")  # a file with the name of a pattern is a file
    assert list_images(f"{folder}/x[1].png") == [f"{folder}/x[1].png"]


@pytest.mark.parametrize("inputs", [None, 5, {"a": 1}, {"a.jpg"}, [None], ["a.jpg", 5], [[IMAGE]]])
def test_other_types(inputs):
    with pytest.raises(TypeError, match="got"):
        list_images(inputs)


@pytest.mark.parametrize(
    "image", [IMAGE, b"ab", io.BytesIO(b"ab"), np.zeros((2, 2, 3)), "a.jpg", "http://a/b.jpg"]
)
def test_one_image(image):
    inputs = ImageInputs(image)
    assert inputs.is_single
    assert inputs.count == 1
    assert [each.source for each in inputs] == [image]


def test_generator_is_lazy():
    made = []

    def images():
        for index in range(10**9):
            made.append(index)
            yield np.zeros((2, 2, 3), np.uint8)

    inputs = ImageInputs(images())
    assert inputs.count is None
    assert next(iter(inputs)).name == "00000000"
    assert made == [0]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("photos/a.b.jpg", "a.b"),
        ("...jpg", "00000007"),
        ("..", "00000007"),
        (".jpg", "00000007"),
        ("x/. .png", "00000007"),
        ("a.", "a"),
        ("https://host/x/b.png?size=2#3", "b"),
        ("https://host/%2e%2e%2fb%00.png", "_b_"),
        ("https://host/", "00000007"),
        ("http://[x", "00000007"),
        ("data:image/png;base64,a/b", "00000007"),
        ("C:\\x\\b.png", "C__x_b"),
        ("é" * 200 + ".jpg", "é" * 90),
        ("a\udcff.jpg", "a_"),
        (IMAGE, "00000007"),
        (b"x", "00000007"),
    ],
)
def test_output_names(source, name):
    assert output_name(source, 7) == name


def test_names_of_open_files(folder):
    with open(folder / "e.bmp", "rb") as file, Image.open(folder / "f.tga") as image:
        assert [output_name(file, 0), output_name(image, 1)] == ["e", "f"]


def test_equal_names():
    images = ["x/a.jpg", "y/a.png", "z/A.jpg", "a_1.jpg", "b.jpg", *["x/a.jpg"] * 5000]
    names = [each.name for each in ImageInputs(images)]
    assert names[:5] == ["a", "a_1", "A_2", "a_1_1", "b"]
    assert len({name.casefold() for name in names}) == len(images)
