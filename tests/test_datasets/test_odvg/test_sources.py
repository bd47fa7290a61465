"""Files and shards of records: their patterns and their records."""

from __future__ import annotations

import json
import os

import pytest
from mmengine import fileio

from glip.datasets.images import read_bytes, read_image
from glip.datasets.odvg.sources import expand_patterns, iter_records
from glip.datasets.tar_backend import member_url
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError
from glip.utils.file_ranges import read_range
from tests.test_datasets.test_odvg.files import (
    image_bytes,
    make_lines,
    members_of,
    write_shard,
)


def test_patterns(tmp_path):
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "b.tar", "odd[1]{2}.tar"):
        (tmp_path / name).touch()

    def names(*patterns):
        paths = expand_patterns([f"{tmp_path}/{pattern}" for pattern in patterns])
        return [os.path.basename(path) for path in paths]

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
    found = {record.content["filename"]: record for record in iter_records(str(path))}
    assert len(found) == 6
    for number, line in enumerate(lines):
        record = found[line["filename"]]
        assert (record.content, record.error) == (line, None)
        assert read_range(str(path), record.offset, record.size) == json.dumps(line).encode()
        image = member_url(str(path), *record.image, line["filename"])
        assert read_bytes(image) == fileio.get(image) == image_bytes(line, number)
        assert read_image(image).shape == (line["height"], line["width"], 3)


def test_names_in_a_shard(tmp_path):
    lines = make_lines(3)
    folder = "./photos: 1 + 2@3/" + "long " * 30  # beyond the 100 characters of old tar headers
    lines[0]["filename"] = f"{folder}ä.png"
    members = [
        (f"{folder}ä.png", image_bytes(lines[0])),
        (f"{folder}ä.json", json.dumps(lines[0]).encode()),
        ("b.json", json.dumps(lines[1]).encode()),
        ("c.json", b"{"),
        ("other.png", b""),
    ]
    path = write_shard(tmp_path / "a b.tar", members)
    good, broken, lonely = iter_records(str(path))
    assert read_image(member_url(str(path), *good.image, good.content["filename"])).any() == 0
    assert broken.error.reason == "invalid JSON"
    assert lonely.error.reason == "no image in the shard for the record's 'filename'"
    assert (good.line_number, lonely.line_number, broken.line_number) == (1, 2, 3)


@pytest.mark.parametrize("cut", [700, 1500, 3])
def test_a_damaged_shard(tmp_path, cut):
    path = write_shard(tmp_path / "a.tar", members_of(make_lines(6)))
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    with pytest.raises(AnnotationFileError, match="a complete, uncompressed archive"):
        list(iter_records(str(path)))
    path.write_bytes(b"\x1f\x8b" + whole)
    with pytest.raises(AnnotationFileError, match="a complete, uncompressed archive"):
        list(iter_records(str(path)))


def test_records_of_one_image(tmp_path):
    """Every record is returned, also where two name the same image."""
    (line,) = make_lines(1)
    content = json.dumps(line).encode()
    members = [("a.json", content), ("b.json", content), (line["filename"], image_bytes(line))]
    path = write_shard(tmp_path / "a.tar", members)
    second, first = iter_records(str(path))
    assert (first.line_number, first.error) == (1, None)
    assert second.error.reason == "no image in the shard for the record's 'filename'"
