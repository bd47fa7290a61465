"""The index: built once, memory-mapped, and never used if it is stale or damaged."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from glip.datasets.odvg import index
from glip.datasets.odvg.index import ROW, open_index
from glip.utils.file_ranges import read_range
from tests.test_datasets.test_odvg.files import make_lines, write_lines


@pytest.fixture
def built(monkeypatch):
    """The files whose index was built, one entry each time."""
    paths = []
    original = index._build

    def build(path, *others):
        paths.append(path)
        return original(path, *others)

    monkeypatch.setattr(index, "_build", build)
    return paths


def index_files(path: Path) -> tuple[Path, Path]:
    """The rows and the summary."""
    (rows,) = path.parent.glob(f"{path.name}.odvg_index.*.npy")
    (summary,) = path.parent.glob(f"{path.name}.odvg_index.*.json")
    return rows, summary


def test_rows(tmp_path, built):
    lines = make_lines(40)
    path = write_lines(tmp_path, lines)
    for _ in range(2):
        opened = open_index(str(path))
        assert isinstance(opened.rows, np.memmap)
        assert opened.rows["line_number"].tolist() == list(range(1, 41))
        assert opened.rows["height"].tolist() == [line["height"] for line in lines]
        pieces = [
            read_range(str(path), int(row["offset"]), int(row["size"])) for row in opened.rows
        ]
        assert b"".join(pieces) == path.read_bytes()
        assert opened.rows["max_label"].max() == 2
        assert opened.categories == {0: "cat", 1: "dog", 2: "traffic light"}
    assert built == [str(path)]
    rows, summary = index_files(path)
    assert {each.name for each in tmp_path.iterdir()} == {
        "train.jsonl",
        rows.name,
        summary.name,
        "labels.json",
    }
    np.testing.assert_array_equal(np.load(rows), opened.rows)  # a plain numpy file


def test_changed_data_are_indexed_again(tmp_path, built):
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"dog", b"cow"))  # of the same size
    os.utime(path, ns=(1, 1))
    assert open_index(str(path)).categories[1] == "cow"
    path.write_bytes(content + content)
    assert len(open_index(str(path)).rows) == 20
    index_files(path)  # the stale ones are gone
    other = tmp_path / "other.jsonl"
    path.rename(other)
    for file in index_files(path):  # the fingerprint covers the name
        file.rename(file.with_name(file.name.replace(path.name, other.name)))
    assert len(open_index(str(other)).rows) == 20
    assert len(built) == 4


@pytest.mark.parametrize("part", [0, 1], ids=["rows", "summary"])
@pytest.mark.parametrize("left", [0, 3, 100, 130, -1, -8, -30])
def test_a_truncated_index_is_built_again(tmp_path, built, part, left):
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    file = index_files(path)[part]
    whole = file.read_bytes()
    file.write_bytes(whole[:left])
    assert len(open_index(str(path)).rows) == 10
    assert index_files(path)[part].read_bytes() == whole
    assert len(built) == 2


@pytest.mark.parametrize("part", [0, 1], ids=["rows", "summary"])
def test_half_an_index_is_built_again(tmp_path, built, part):
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    index_files(path)[part].unlink()
    assert len(open_index(str(path)).rows) == 10
    assert len(built) == 2


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "kind", ["pickle", "object array", "fewer rows", "other dtype", "summary", "noise"]
)
def test_a_foreign_index_is_built_again_and_not_run(tmp_path, built, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    rows, summary = index_files(path)
    whole = rows.read_bytes(), summary.read_bytes()
    if kind == "pickle":
        rows.write_bytes(pickle.dumps(Evil()))
    elif kind == "object array":
        np.save(rows, np.array([Evil()] * 10, dtype=object), allow_pickle=True)
    elif kind == "fewer rows":
        np.save(rows, np.zeros(9, ROW))
    elif kind == "other dtype":
        np.save(rows, np.zeros(10))
    elif kind == "summary":
        summary.write_bytes(whole[1].replace(b'"num_rows": 10', b'"num_rows": []'))
    else:
        rows.write_bytes(np.random.default_rng(0).bytes(len(whole[0])))
        summary.write_bytes(np.random.default_rng(0).bytes(len(whole[1])))
    assert len(open_index(str(path)).rows) == 10
    assert tuple(file.read_bytes() for file in index_files(path)) == whole
    assert not Path("evil").exists()


KILLED = """
import os, signal, sys
from glip.datasets.odvg import index

original = index._row
count = 0

def row(*args):
    global count
    count += 1
    if count == 5000:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)

index._row = row
index.open_index(sys.argv[1])
"""


def test_a_kill_leaves_no_index(tmp_path):
    path = write_lines(tmp_path, make_lines(6000))
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (partial,) = tmp_path.glob(".*.partial")
    assert partial.stat().st_size > 0
    assert not list(tmp_path.glob("train.jsonl.odvg_index*"))
    assert len(open_index(str(path)).rows) == 6000


def test_an_error_leaves_no_index(tmp_path, monkeypatch):
    path = write_lines(tmp_path, make_lines(10))
    monkeypatch.setattr(index, "_row", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        open_index(str(path))
    assert {each.name for each in tmp_path.iterdir()} == {"train.jsonl", "labels.json"}


def test_several_threads_at_once(tmp_path):
    path = write_lines(tmp_path, make_lines(300))
    counts = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(open_index(str(path)).rows)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [300] * 6
    assert not list(tmp_path.glob(".*"))


def test_several_processes_at_once(tmp_path):
    path = write_lines(tmp_path, make_lines(3000))
    code = f"from glip.datasets.odvg.index import *; print(len(open_index({str(path)!r}).rows))"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in processes] == [b"3000"] * 2
    assert np.load(index_files(path)[0])["line_number"].tolist() == list(range(1, 3001))
    assert not list(tmp_path.glob(".*"))


def test_data_that_change_while_they_are_indexed(tmp_path, monkeypatch):
    path = write_lines(tmp_path, make_lines(10))
    original = index._row

    def row(record, content):
        if record.line_number == 5:
            path.write_bytes(path.read_bytes() + b"\n")
        return original(record, content)

    monkeypatch.setattr(index, "_row", row)
    with pytest.raises(OSError, match="changed while its index"):
        open_index(str(path))
    monkeypatch.undo()
    assert len(open_index(str(path)).rows) == 10
    index_files(path)


@pytest.mark.parametrize("cache", [True, False])
def test_a_folder_that_is_not_writable(tmp_path, monkeypatch, built, cache):
    path = write_lines(tmp_path / "data", make_lines(10))
    original = index.atomic_open

    def atomic_open(target):  # root may write anywhere
        if target.parent == path.parent or not cache:
            raise PermissionError(13, "Permission denied", str(target))
        return original(target)

    monkeypatch.setattr(index, "atomic_open", atomic_open)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        opened = open_index(str(path))
        assert opened.rows["line_number"].tolist() == list(range(1, 11))
        assert isinstance(opened.rows, np.memmap) == cache
    assert len(built) == (1 if cache else 2)
    assert len(list((tmp_path / "cache").rglob("*"))) == (4 if cache else 2)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n \n")
    for _ in range(2):
        opened = open_index(str(tmp_path / "a.jsonl"))
        assert (len(opened.rows), opened.num_records) == (0, 0)
