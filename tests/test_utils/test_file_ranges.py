"""Byte ranges of files that stay open, in one process and in several."""

from __future__ import annotations

import multiprocessing

import pytest

from glip.utils import file_ranges
from glip.utils.file_ranges import read_range


def read_all(path, places, out):
    out.put([read_range(path, *place) for place in places])


def test_a_forked_process_opens_its_own_files(tmp_path):
    """A file that was open before a fork has one position for both sides of it."""
    path = str(tmp_path / "a.txt")
    lines = [f"line {number}\n".encode() for number in range(4000)]
    (tmp_path / "a.txt").write_bytes(b"".join(lines))
    places, offset = [], 0
    for line in lines:
        places.append((offset, len(line)))
        offset += len(line)
    assert [read_range(path, *place) for place in places] == lines  # open from here on
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    workers = [context.Process(target=read_all, args=(path, places, out)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        assert [read_range(path, *place) for place in places] == lines
    for _ in workers:
        assert out.get(timeout=60) == lines
    for worker in workers:
        worker.join()


def test_few_files_stay_open(tmp_path, monkeypatch):
    monkeypatch.setattr(file_ranges, "MAX_OPEN_FILES", 2)
    for name in "abcd":
        (tmp_path / name).write_text(name)
    for name in "abcdab":
        assert read_range(str(tmp_path / name), 0, 1) == name.encode()
    assert len(file_ranges._open_files) == 2


def test_a_range_beyond_the_end(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_range(str(tmp_path / "a"), 2, 2) == b"34"
    with pytest.raises(OSError, match="ends before byte 5"):
        read_range(str(tmp_path / "a"), 2, 3)
    with pytest.raises(FileNotFoundError):
        read_range(str(tmp_path / "b"), 0, 1)
