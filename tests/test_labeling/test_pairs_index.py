"""Of several processes one reads a large file of pairs from start to end."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import fsspec
import pytest

from glip.labeling import pairs, pairs_index
from glip.labeling.pairs import PairsFile

BAD = ["no json", '{"filename": "b.jpg"}', '{"filename": "b.jpg", "caption": ""}', "[]", "{}"]


@pytest.fixture
def large(tmp_path, monkeypatch) -> Path:
    """A file of 300 images that counts as large; some lines are invalid."""
    monkeypatch.setattr(pairs_index, "MIN_SIZE", 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lines = [json.dumps({"filename": f"{n // 2}.jpg", "caption": f"a {n}"}) for n in range(600)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{line}\n" for line in [*lines[:100], *BAD, *lines[100:]]))
    (tmp_path / "0.jpg").touch()
    return path


def content(opened: PairsFile) -> tuple:
    images = [opened[index] for index in range(len(opened))]
    return images, opened.digest, opened.skipped.counts, opened.skipped.summary()


def _open(path: str, barrier, results) -> None:
    """Open the file at the same time as others, and say how many lines were read in all."""
    read = []
    original = pairs._read_line
    pairs._read_line = lambda line: read.append(line) or original(line)
    barrier.wait(60)
    opened = PairsFile(path, os.path.dirname(path))
    results.put((len(read), len(opened), opened.digest))


def test_four_processes_read_the_file_once(large):
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(4), context.Queue()
    started = [context.Process(target=_open, args=(str(large), barrier, results)) for _ in range(4)]
    for process in started:
        process.start()
    found = [results.get(timeout=60) for _ in started]
    for process in started:
        process.join(60)
    lengths = sorted(length for length, _, _ in found)
    assert max(lengths[:3]) <= 3 * pairs._NUM_CHECKED  # the lines of the first images
    assert lengths[3] >= 605
    assert len({(number, digest) for _, number, digest in found}) == 1


def test_the_same_as_without_an_index(large, monkeypatch):
    stored = [content(PairsFile(large, large.parent)) for _ in range(2)]
    assert [path.suffix for path in sorted(large.parent.glob("*.pairs_index.*"))] == [
        ".json",
        ".lock",
        ".npy",
    ]
    monkeypatch.setattr(pairs_index, "MIN_SIZE", 1 << 30)
    small = content(PairsFile(large, large.parent))
    assert stored == [small, small]
    assert small[2].total() == len(BAD)


def test_a_changed_file_and_damaged_indexes(large):
    before = content(PairsFile(large, large.parent))
    for damage in (b"", b"\x80\x04.", b"\x93NUMPY" + b"\xff" * 100):
        for extension in (".npy", ".json"):
            (stored,) = large.parent.glob(f"*.pairs_index.*{extension}")
            stored.write_bytes(damage)
            assert content(PairsFile(large, large.parent)) == before
    with large.open("a") as file:
        file.write('{"filename": "new.jpg", "caption": "new"}\n')
    assert len(PairsFile(large, large.parent)) == len(before[0]) + 1


def test_a_folder_that_is_not_writable(large, monkeypatch):
    """The index is in the cache folder; without that, nowhere."""
    stems = pairs_index._stems
    nowhere = Path("/proc/nowhere/x")
    monkeypatch.setattr(pairs_index, "_stems", lambda *given: [nowhere, stems(*given)[1]])
    before = content(PairsFile(large, large.parent))
    assert len(list((large.parent / "cache/glip/pairs").glob("*.npy"))) == 1
    monkeypatch.setattr(pairs_index, "_stems", lambda *given: [nowhere])
    assert content(PairsFile(large, large.parent)) == before


def test_a_url(large, tmp_path):
    fsspec.filesystem("memory").pipe_file("/index/pairs.jsonl", large.read_bytes())
    fsspec.filesystem("memory").pipe_file("/index/0.jpg", b"x")
    opened = [content(PairsFile("memory://index/pairs.jsonl", "memory://index")) for _ in range(2)]
    assert opened[0] == opened[1] == content(PairsFile(large, large.parent))
    assert len(list((tmp_path / "cache/glip/pairs").glob("*.npy"))) == 1
