"""Atomic writes."""

from __future__ import annotations

import os

import pytest

from glip.utils.atomic_write import atomic_open, atomic_write


def test_it_replaces_the_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "file"
    atomic_write(path, b"old")
    atomic_write(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_keeps_the_old_file(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"


def test_open_replaces_when_the_block_ends(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with atomic_open(path) as first, atomic_open(path) as second:  # as two processes
        first.write(b"first")
        second.write(b"second")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"first"
    with pytest.raises(ZeroDivisionError), atomic_open(path) as file:
        file.write(b"half" * (1 // 0))
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
