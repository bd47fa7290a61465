"""The images of a run: folders, patterns, JSON lines and tar archives."""

from __future__ import annotations

import io
import json
import os
import tarfile

import numpy as np
import pytest
from PIL import Image

from glip.datasets.odvg.sources import iter_records as records
from glip.labeling.image_list import ImageList
from glip.labeling.pairs import open_pairs
from glip.utils.errors import DataError, ImageReadError

NAMES = ["a.jpg", "a.png", "sub/A.jpg", "sub/b.jpg"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in NAMES:
        (folder / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 4), "red").save(folder / name)
    (folder / "notes.txt").write_text("no image")
    return folder


def names_of(images: ImageList) -> list[tuple[str, str]]:
    return [(images[at].file_name, images[at].stem) for at in range(len(images))]


def test_a_folder(folder):
    assert names_of(ImageList(folder)) == [("a.jpg", "a"), ("a.png", "a_1")]
    assert names_of(ImageList(folder, recursive=True)) == [
        ("a.jpg", "a"),
        ("a.png", "a_1"),
        ("sub/A.jpg", "sub/A"),
        ("sub/b.jpg", "sub/b"),
    ]


def test_a_pattern_and_one_image(folder):
    assert names_of(ImageList(f"{folder}/**/*.jpg")) == [
        ("a.jpg", "a"),
        ("sub/A.jpg", "A_1"),
        ("sub/b.jpg", "b"),
    ]
    images = ImageList(folder / "sub" / "b.jpg")
    assert names_of(images) == [("b.jpg", "b")]
    assert images.root == folder / "sub"


def test_json_lines(folder, tmp_path):
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps({"filename": name}) + "\n" for name in [*NAMES, "a.jpg"]))
    images = ImageList(path)
    assert [name for name, _ in names_of(images)] == NAMES
    assert images.load(3) == str(folder / "sub/b.jpg")
    for content, message in [("[1]\n", "line 1"), ('{"filename": 3}', "line 1"), ("", "is empty")]:
        other = tmp_path / "list.jsonl"
        other.write_text(content)
        with pytest.raises(DataError, match=message):
            ImageList(other)


@pytest.mark.parametrize(
    "name", ["", " ", ".", "./", "..", "../", "a/..", "/", "a\0b", "\ud800", "a\udfff.jpg"]
)
def test_file_names_of_json_lines(tmp_path, name):
    (tmp_path / "list.jsonl").write_text(json.dumps({"filename": name}))
    with pytest.raises(DataError, match="as the file name"):
        ImageList(tmp_path / "list.jsonl")


@pytest.mark.parametrize("name", ["list.jsonl", "list.ndjson"])
def test_json_lines_that_are_no_file(tmp_path, name):
    path = tmp_path / name
    for make in (
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path),
    ):
        make()
        with pytest.raises(DataError, match=r"(a folder|not a regular file|not exist): expected"):
            ImageList(path)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("name", ["a*" * 3000, "a" * 5000 + ".tar", "a" * 300 + ".jsonl"])
def test_names_that_are_too_long(name):
    with pytest.raises(DataError) as raised:
        ImageList(name)
    assert len(str(raised.value)) < 12_000


def test_lines_without_an_end(tmp_path):
    """They would fill the memory."""
    path = tmp_path / "list.jsonl"
    with open(path, "wb") as file:
        file.truncate(1 << 36)
    for read in (ImageList, lambda path: open_pairs(path, tmp_path), lambda path: [*records(path)]):
        with pytest.raises(DataError, match=r"line 1, has more than 64 MiB: expected JSON lines"):
            read(str(path))


def write_tar(path, names):
    with tarfile.open(path, "w") as tar:
        for name in names:
            buffer = io.BytesIO()
            Image.new("RGB", (6, 4), "red").save(buffer, "PNG")
            info = tarfile.TarInfo(name)
            info.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(info, buffer)


def test_tar_archives(tmp_path):
    write_tar(tmp_path / "0.tar", ["x/a.png", "b.png", "../c.png", "b.json"])
    write_tar(tmp_path / "1.tar", ["b.png"])
    one = ImageList(tmp_path / "0.tar")
    assert names_of(one) == [("x/a.png", "x/a"), ("b.png", "b")]
    np.testing.assert_array_equal(one.load(0), np.full((4, 6, 3), [0, 0, 255]))
    both = ImageList(tmp_path / "*.tar")
    assert names_of(both) == [("0/x/a.png", "0/x/a"), ("0/b.png", "0/b"), ("1/b.png", "1/b")]
    write_tar(tmp_path / "2.tar", ["notes.md"])
    with pytest.raises(ImageReadError, match="has no images"):
        ImageList(tmp_path / "2.tar")
    with pytest.raises(DataError, match="no tar archive"):
        ImageList(tmp_path / "none*.tar")


def test_the_digest_follows_names_and_sizes(folder, tmp_path):
    digest = ImageList(folder).digest
    assert ImageList(folder).digest == digest
    assert ImageList(folder, recursive=True).digest != digest
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.jpg")
    Image.new("RGB", (6, 4), "red").save(tmp_path / "a.png")
    assert ImageList(tmp_path).digest != digest
