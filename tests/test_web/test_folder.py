"""Zip files: their labels are those of ``glip label``, and hostile ones are refused."""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import replace

import pytest

from glip.cli.label import main as label
from glip.config import demo_file
from glip.web.handlers import Handlers
from glip.web.visit import Upload
from tests.test_web.conftest import SETTINGS

MODEL = "glip_nano_shapes"
TEXT = "red star . purple square ."
SHAPES = demo_file("shapes.jpg")


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return Upload(str(path), "images.zip")


def run(handlers, upload, text=TEXT, format_name="coco", score_thr=0.6):
    return handlers.label(None, upload, text, MODEL, score_thr, format_name)


def test_labels_are_those_of_the_command(handlers, tmp_path):
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "sub/b.jpg"):
        (folder / name).write_bytes(SHAPES.read_bytes())
    members = {name: (folder / name).read_bytes() for name in ("a.jpg", "sub/b.jpg")}
    members |= {"notes.txt": b"x", "__MACOSX/a.jpg": b"x", "sub/.hidden.jpg": b"x"}
    visit, path, report = run(handlers, make_zip(tmp_path / "a.zip", members))
    out = tmp_path / "out"
    options = ["--out", str(out), "--recursive", "--device", "cpu", "--num-workers", "0"]
    label([str(folder), TEXT, "--score-thr", "0.6", *options])
    with zipfile.ZipFile(path) as labels:
        found = json.loads(labels.read("annotations.json"))
    expected = json.loads((out / "annotations.json").read_text())
    for key in ("images", "categories", "annotations"):
        assert found[key] == expected[key]
    assert len(found["annotations"]) == 6
    assert "red star" in report
    assert str(tmp_path) not in report
    assert sorted(each.name for each in visit.folder.iterdir()) == ["labels.zip"]


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "C:\\a.jpg", "a\\..\\..\\b.jpg"]
)
def test_paths_outside_the_folder(handlers, tmp_path, name):
    _, path, report = run(handlers, make_zip(tmp_path / "a.zip", {"b.jpg": b"x", name: b"x"}))
    assert path is None
    assert "paths inside it" in report


def test_links(handlers, tmp_path):
    link = zipfile.ZipInfo("a.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    _, path, report = run(handlers, Upload(str(tmp_path / "a.zip"), "a.zip"))
    assert path is None
    assert "no links" in report


def test_bombs_are_counted_as_they_are_decompressed(models, tmp_path):
    upload = make_zip(tmp_path / "a.zip", {f"{i}.jpg": bytes(600_000) for i in range(4)})
    # The directory declares less than there is.
    content = bytearray((tmp_path / "a.zip").read_bytes())
    assert len(content) < 10_000
    handlers = Handlers(models, replace(SETTINGS, max_folder_bytes=2_000_000), tmp_path)
    _, path, report = run(handlers, upload)
    assert path is None
    assert "more than 2,000,000 bytes" in report
    handlers = Handlers(models, replace(SETTINGS, max_folder_images=3), tmp_path)
    assert "at most 3 images, got 4" in run(handlers, upload)[2]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\3\4" + bytes(100)])
def test_what_is_no_zip_file(handlers, tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    _, path, report = run(handlers, Upload(str(tmp_path / "a.zip"), "a.zip"))
    assert path is None
    assert "cannot be read" in report


def test_damaged_members_and_same_paths(handlers, tmp_path):
    upload = make_zip(tmp_path / "a.zip", {"a.jpg": SHAPES.read_bytes()})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[1000:1100] = bytes(100)
    (tmp_path / "a.zip").write_bytes(content)
    assert "cannot be read" in run(handlers, upload)[2]
    upload = make_zip(tmp_path / "b.zip", {"a.jpg": b"x", "a.jpg/b.jpg": b"x"})
    assert "same path" in run(handlers, upload)[2]


def test_other_values(handlers, tmp_path):
    assert run(handlers, None)[2] == "Choose a zip file of images."
    upload = make_zip(tmp_path / "a.zip", {"a.jpg": SHAPES.read_bytes()})
    assert "expected a format" in run(handlers, upload, format_name="../x")[2]
    assert "score_thr" in run(handlers, upload, score_thr=float("nan"))[2]
    assert "the prompt is empty" in run(handlers, upload, text=" ")[2]
