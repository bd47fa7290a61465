"""Atomic writes."""

from __future__ import annotations

import os

import pytest

from glip.utils.atomic_write import atomic_write


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
