"""Atomic writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from glip.utils.atomic_write import (
    atomic_open,
    atomic_write,
    describe_full_disk,
    describe_write_errors,
)
from glip.utils.errors import StorageError


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


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let writes fail beyond a size, as on a full disk."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_open(path) -> None:
    with atomic_open(path) as file:
        for _ in range(100):
            file.write(bytes(1000))


def write_at_once(path) -> None:
    atomic_write(path, bytes(100_000))


@pytest.mark.parametrize("write", [write_open, write_at_once])
def test_a_full_disk(tmp_path, write):
    """The message names the file and a remedy; the old file stays, and nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with file_size_limit(5000), pytest.raises(StorageError, match=r"too large.*ulimit") as caught:
        write(path)
    assert str(path) in str(caught.value)
    assert caught.value.errno == errno.EFBIG
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EROFS, "not writable"),
        (errno.EACCES, "not writable"),
        (errno.EFBIG, "ulimit"),
        (errno.ENOTDIR, "part of the path is a file"),
        (errno.EIO, "check the disk"),
    ],
)
def test_remedies(tmp_path, number, remedy):
    message = f"'{tmp_path}/a' cannot be written .*{remedy}"
    with pytest.raises(StorageError, match=message), describe_write_errors(tmp_path / "a"):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("path", ["absent/a", "file/a", "file/b/a", "x" * 300])
def test_paths_that_cannot_be_written(tmp_path, path):
    (tmp_path / "file").write_bytes(b"")
    for write in (write_open, write_at_once):
        with pytest.raises(StorageError, match="cannot be written"):
            write(tmp_path / path)


def test_errors_of_other_files_pass(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_open(tmp_path / "a"):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(FileNotFoundError), describe_full_disk(tmp_path):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(StorageError, match=r"scalars\.json"), describe_full_disk(tmp_path):
        raise OSError(errno.EROFS, "read-only", str(tmp_path / "scalars.json"))
    assert not list(tmp_path.iterdir())
