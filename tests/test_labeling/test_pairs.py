"""Image-caption pairs, read from JSON lines and from tar shards."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glip.labeling import Caption, open_pairs
from glip.utils.errors import DataError, TarFileError
from tests.test_labeling.generated import write_pairs


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 6)).save(path / name)
    return path


def test_lines(tmp_path, folder):
    entries = [
        dict(filename="a.jpg", caption="a dog", url="here", height=6, width=8),
        "",
        dict(filename="a.jpg", caption="a cat"),
        "{half a line",
        dict(filename="b.jpg", captions=["a cow", "a pig", "a cow", " "]),
        dict(filename="a.jpg", caption="a hen"),
    ]
    pairs = open_pairs(write_pairs(tmp_path / "pairs.jsonl", entries), folder)
    assert [pairs[at].filename for at in range(len(pairs))] == ["a.jpg", "b.jpg", "a.jpg"]
    assert pairs[0].captions == (Caption("a dog", {"url": "here"}), Caption("a cat"))
    assert [each.text for each in pairs[1].captions] == ["a cow", "a pig"]
    assert pairs.image("b.jpg") == str(folder / "b.jpg")
    assert pairs.skipped.counts == {
        "invalid JSON": 1,
        "of several captions that are invalid": 1,
    }
    assert "line 4" in pairs.skipped.summary()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "not a JSON object"),
        ('{"caption": "a dog"}', "without a 'filename'"),
        ('{"filename": "a.jpg"}', "without a valid 'caption'"),
        (
            '{"filename": "a.jpg", "caption": "  "}',
            "without a valid 'caption'",
        ),
        ('{"filename": "a.jpg", "captions": "a dog"}', None),
        (
            '{"filename": "a.jpg", "caption": "\\ud83d dog"}',
            "without a valid 'caption'",
        ),
        ('{"filename": "a.jpg", "caption": "a", "grounding": {}}', "labeled already"),
    ],
)
def test_bad_lines(tmp_path, folder, line, reason):
    good = dict(filename="b.jpg", caption="a cat")
    pairs = open_pairs(write_pairs(tmp_path / "pairs.jsonl", [line, good]), folder)
    assert pairs[len(pairs) - 1].filename == "b.jpg"
    assert len(pairs) == (1 if reason else 2)
    if reason:
        assert reason in pairs.skipped.summary()
        with pytest.raises(DataError, match="no image with a caption"):
            open_pairs(write_pairs(tmp_path / "bad.jsonl", [line]), folder)


def test_digest_follows_the_content(tmp_path, folder):
    entries = [dict(filename="a.jpg", caption="a dog"), dict(filename="b.jpg", caption="a cat")]
    first, copy = (write_pairs(tmp_path / name, entries) for name in ("1.jsonl", "2.jsonl"))
    other = write_pairs(tmp_path / "3.jsonl", entries[:1])
    digests = [open_pairs(path, folder).digest for path in (first, copy, other)]
    assert digests[0] == digests[1] != digests[2]


def test_what_cannot_be_opened(tmp_path, folder):
    path = write_pairs(tmp_path / "pairs.jsonl", [dict(filename="x/a.jpg", caption="a dog")])
    with pytest.raises(DataError, match="check the image folder"):
        open_pairs(path, folder)
    with pytest.raises(DataError, match="give the image folder"):
        open_pairs(path)
    with pytest.raises(DataError, match="there is no file"):
        open_pairs(tmp_path / "absent.jsonl", folder)
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="decompress it"):
        open_pairs(tmp_path / "a.tar.gz")
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(TarFileError, match="cannot read the tar archive"):
        open_pairs(tmp_path / "a.tar")
    with pytest.raises(DataError, match="contains its images"):
        open_pairs(tmp_path / "a.tar", folder)


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def png(color: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (color, 0, 0)).save(file, "png")
    return file.getvalue()


def test_tar(tmp_path):
    members = {
        "in/1.jpg": png(10),
        "in/1.txt": b"a dog\n",
        "in/2.PNG": png(20),
        "in/2.txt": b"not this one",
        "in/2.json": json.dumps(dict(caption="a cat", key="2", width=99)).encode(),
        "in/3.jpg": png(30),
        "in/4.txt": b"no image",
        "in/5.jpg": b"not an image",
        "in/5.json": json.dumps(dict(captions=["a pig", "a hen"])).encode(),
        "in/._1.jpg": b"left by an operating system",
        "in/6.jpg": png(40),
        "in/6.txt": b"\xff\xfe",
    }
    pairs = open_pairs(write_tar(tmp_path / "shard.tar", members))
    assert [pairs[at].filename for at in range(len(pairs))] == ["in/1.jpg", "in/2.PNG", "in/5.jpg"]
    assert pairs[0].captions == (Caption("a dog"),)
    assert pairs[1].captions == (Caption("a cat", {"key": "2"}),)
    assert [each.text for each in pairs[2].captions] == ["a pig", "a hen"]
    assert pairs.from_array
    assert np.array_equal(pairs.image("in/2.PNG")[0, 0], [0, 0, 20])
    assert pairs.skipped.counts == {
        "without an image": 1,
        "without a valid 'caption'": 1,
        "with a caption that is not UTF-8": 1,
    }


def test_a_truncated_tar(tmp_path):
    path = write_tar(tmp_path / "shard.tar", {"1.jpg": png(1) * 200, "1.txt": b"a dog"})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TarFileError, match="cannot read the tar archive"):
        open_pairs(path)
