"""Files and shards: finding them, and going through them."""

from __future__ import annotations

import json
import multiprocessing
import os

import pytest
from mmengine import fileio

from glip.datasets.images import read_bytes, read_image
from glip.datasets.odvg import sources
from glip.datasets.odvg.sources import expand, member_path, read_range, records
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, ImageReadError
from tests.test_datasets.test_odvg.files import (
    make_lines,
    members_of,
    picture,
    write_lines,
    write_shard,
)


def test_patterns(tmp_path):
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b.tar", "odd[1]{2}.tar"):
        (tmp_path / name).touch()

    def names(*patterns):
        return [os.path.basename(each) for each in expand([f"{tmp_path}/{p}" for p in patterns])]

    assert names("a-{08..10}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar"]
    assert names("{b,a-1*}.tar") == ["b.tar", "a-10.tar"]
    assert names("b.tar", "a-?8.tar") == ["b.tar", "a-08.tar"]
    assert names("odd[1]{2}.tar") == ["odd[1]{2}.tar"]
    with pytest.raises(AnnotationFileNotFoundError, match=r"a-11\.tar.*of the pattern"):
        names("a-{10..11}.tar")
    with pytest.raises(AnnotationFileNotFoundError, match="check data_root"):
        names("c*.tar")
    with pytest.raises(AnnotationFileError, match="twice"):
        names("b.tar", "*.tar")
    with pytest.raises(AnnotationFileError, match="is a folder"):
        names(".")


def test_a_shard(tmp_path):
    lines = make_lines(6)
    members = [*members_of(lines), ("00001.cls", b"3")]
    path = write_shard(tmp_path / "a.tar", members)
    found = {record.line["filename"]: record for record in records(str(path))}
    assert len(found) == 6
    for number, line in enumerate(lines):
        record = found[line["filename"]]
        assert (record.line, record.error) == (line, None)
        assert read_range(str(path), record.offset, record.size) == json.dumps(line).encode()
        image = member_path(str(path), *record.image, line["filename"])
        assert read_bytes(image) == fileio.get(image) == picture(line, number)
        assert read_image(image).shape == (line["height"], line["width"], 3)


def test_names_in_a_shard(tmp_path):
    lines = make_lines(3)
    folder = "./photos: 1 + 2@3/" + "long " * 30  # beyond the 100 characters of old tar headers
    lines[0]["filename"] = f"{folder}ä.png"
    members = [
        (f"{folder}ä.png", picture(lines[0])),
        (f"{folder}ä.json", json.dumps(lines[0]).encode()),
        ("b.json", json.dumps(lines[1]).encode()),
        ("c.json", b"{"),
        ("other.png", b""),
    ]
    path = write_shard(tmp_path / "a b.tar", members)
    good, broken, lonely = records(str(path))
    assert read_image(member_path(str(path), *good.image, good.line["filename"])).any() == 0
    assert broken.error.reason == "no valid JSON"
    assert lonely.error.reason == "the shard has no image of the line's 'filename'"
    assert (good.number, lonely.number, broken.number) == (1, 2, 3)


@pytest.mark.parametrize("cut", [700, 1500, 3])
def test_a_damaged_shard(tmp_path, cut):
    path = write_shard(tmp_path / "a.tar", members_of(make_lines(6)))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(AnnotationFileError, match="a whole one, not compressed"):
        list(records(str(path)))
    path.write_bytes(b"\x1f\x8b" + whole)
    with pytest.raises(AnnotationFileError, match="a whole one, not compressed"):
        list(records(str(path)))


@pytest.mark.parametrize(
    "name", ["tar://a.tar/b.png", "tar://a.tar@1+x/b.png", "tar://none.tar@0+1/b.png"]
)
def test_no_member(name):
    with pytest.raises(ImageReadError, match=r"b\.png"):
        read_bytes(name)


def test_a_shard_that_was_cut_off(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"1234")
    with pytest.raises(ImageReadError, match="it was cut off or changed"):
        read_bytes(member_path(str(tmp_path / "a.tar"), 2, 3, "b.png"))


def read_all(path, places, out):
    out.put([read_range(path, *place) for place in places])


def test_processes_do_not_disturb_each_other(tmp_path):
    """A file that was open before a fork has one position for both sides of it."""
    path = str(write_lines(tmp_path, make_lines(400)))
    places = [(record.offset, record.size) for record in records(path)]
    expected = [read_range(path, *place) for place in places]  # open from here on
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    workers = [context.Process(target=read_all, args=(path, places, out)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        assert [read_range(path, *place) for place in places] == expected
    for _ in workers:
        assert out.get(timeout=60) == expected
    for worker in workers:
        worker.join()


def test_few_files_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_MOST_OPEN", 2)
    for name in "abcd":
        (tmp_path / name).write_text(name)
    for name in "abcdab":
        assert read_range(str(tmp_path / name), 0, 1) == name.encode()
    assert len(sources._files) == 2
