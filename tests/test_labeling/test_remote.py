"""Images, tar shards and captions at URLs of fsspec give the labels that local ones give."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import fsspec
import pytest

from glip.cli import label
from glip.labeling.image_list import ImageList
from glip.labeling.pairs import open_pairs
from glip.utils import remote_files
from glip.utils.errors import DataError, DependencyError, ImageReadError
from glip.utils.image_files import ImageLimits
from glip.utils.tar_files import iter_members
from tests.test_labeling.generated import write_pairs


@pytest.fixture(scope="module")
def folder(images, captions, tmp_path_factory) -> Path:
    """Four images, their captions, JSON lines of their names, and two tar shards."""
    out = tmp_path_factory.mktemp("local")
    names = sorted(path.name for path in images.iterdir())[:4]
    for name in names:
        (out / name).write_bytes((images / name).read_bytes())
    entries = [
        dict(filename=entry["filename"], caption=entry["caption"])
        for entry in captions
        if entry["filename"] in names
    ]
    write_pairs(out / "pairs.jsonl", entries)
    (out / "names.jsonl").write_text("".join(f'{{"filename": "{name}"}}\n' for name in names))
    for at, own in enumerate((names[:2], names[2:])):
        with tarfile.open(out / f"{at}.tar", "w") as tar:
            for name in own:
                add(tar, name, (out / name).read_bytes())
                texts = [entry["caption"] for entry in entries if entry["filename"] == name]
                text = json.dumps({"captions": texts}).encode()
                add(tar, f"{Path(name).stem}.json", text)
    return out


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module", params=["memory://bucket/data", "file://"])
def url(request, folder) -> str:
    """Return the URL of a copy of the folder."""
    if request.param == "file://":
        return f"file://{folder}"
    system = fsspec.filesystem("memory")
    for path in folder.iterdir():
        system.pipe_file(f"/bucket/data/{path.name}", path.read_bytes())
    return request.param


@pytest.mark.parametrize("source", ["*.tar", "0.tar", "names.jsonl", "*.jpg", "", "DIGEST"])
def test_the_list_is_that_of_local_files(folder, url, source):
    if source == "DIGEST":  # two URLs of one content are one run
        source = "*.tar"
        assert ImageList(f"{url}/{source}").digest == ImageList(str(folder / source)).digest
    local, remote = ImageList(str(folder / source)), ImageList(f"{url}/{source}")
    assert [(each.file_name, each.stem) for each in remote] == [
        (each.file_name, each.stem) for each in local
    ]
    assert remote.root is None
    pixels = remote.load(1)
    assert pixels.shape[2] == 3


def test_labels_of_classes(folder, url, tmp_path):
    written = []
    for name, source in (("local", str(folder / "*.tar")), ("remote", f"{url}/*.tar")):
        out = tmp_path / name
        label.main([source, "red star . ring .", "--out", str(out), "--num-workers", "1"])
        written.append((out / "annotations.json").read_bytes())
        assert (out / "thumbnails").is_dir()
    assert written[0] == written[1]


@pytest.mark.parametrize("pairs", ["pairs.jsonl", "0.tar"])
def test_labels_of_captions(folder, url, tmp_path, pairs):
    written = []
    for name, base in (("local", str(folder)), ("remote", url)):
        images = [] if pairs.endswith(".tar") else [base]
        out = tmp_path / f"{name}.jsonl"
        source = ["--captions", f"{base}/{pairs}", "--num-workers", "0", "--samples", "0"]
        label.main([*images, *source, "--out", str(out)])
        written.append(out.read_bytes())
    assert written[0] == written[1] != b""


def test_limits(folder, url):
    for source in ("*.tar", "names.jsonl", "*.jpg"):
        images = ImageList(f"{url}/{source}")
        images.limits = ImageLimits(max_bytes=100)
        with pytest.raises(ImageReadError, match="max_bytes is 100"):
            images.load(0)
        images.limits = ImageLimits(max_pixels=100)
        with pytest.raises(ImageReadError, match="max_pixels is 100"):
            images.load(0)
    pairs = open_pairs(f"{url}/pairs.jsonl", url)
    pairs.limits = ImageLimits(max_bytes=100)
    with pytest.raises(ImageReadError, match="max_bytes is 100"):
        pairs.image(pairs[0].filename)


def test_an_image_that_is_gone(folder):
    system = fsspec.filesystem("memory")
    system.pipe_file("/gone/a.jpg", b"1")
    images = ImageList("memory://gone")
    system.rm("/gone", recursive=True)
    with pytest.raises(ImageReadError, match="there is no file"):
        images.load(0)


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "a/../../b.jpg", "C:\\a.jpg"])
def test_names_that_leave_the_folder(name):
    system = fsspec.filesystem("memory")
    content = json.dumps({"filename": name, "caption": "a dog"}).encode()
    system.pipe_file("/lines/names.jsonl", content)
    with pytest.raises(DataError, match="expected a file name below memory://lines"):
        ImageList("memory://lines/names.jsonl")
    with pytest.raises(DataError, match="none of the first 1 images"):
        open_pairs("memory://lines/names.jsonl", "memory://lines")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://nowhere/a.tar", "no tar archive"),
        ("memory://nowhere/*.tar", "no tar archive"),
        ("memory://nowhere/a.jsonl", "there is no file"),
        ("memory://nowhere", "has no images"),
        ("nosuch://bucket/a.tar", "Protocol not known"),
        ("zip://a.jpg::memory://a.zip", "got a chain"),
    ],
)
def test_what_cannot_be_read(source, message):
    with pytest.raises((DataError, DependencyError), match=message):
        ImageList(source)


def test_a_damaged_archive():
    system = fsspec.filesystem("memory")
    system.pipe_file("/bad/a.tar", b"no archive" * 200)
    with pytest.raises(DataError, match="expected a complete, uncompressed archive"):
        ImageList("memory://bad/a.tar")


def test_errors_of_a_file_system_name_the_url(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(fsspec.core, "url_to_fs", fail)
    for read in (remote_files.find_remote, remote_files.remote_size, iter_members):
        with pytest.raises(DataError, match=r"memory://b.*RuntimeError: .no credentials"):
            list(read("memory://b/a.tar"))  # type: ignore[operator]
