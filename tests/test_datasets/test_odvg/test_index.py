"""The index: made once, and never trusted if it is not whole, or not of these data."""

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
def made(monkeypatch):
    """The files whose index was made, one entry each time."""
    made = []
    whole = index._write

    def write(path, *others):
        made.append(path)
        return whole(path, *others)

    monkeypatch.setattr(index, "_write", write)
    return made


def kept(path: Path) -> Path:
    return path.with_name(f"{path.name}.odvg_index")


def test_rows(tmp_path, made):
    lines = make_lines(40)
    path = write_lines(tmp_path, lines)
    for _ in range(2):
        opened = open_index(str(path))
        assert isinstance(opened.rows, np.memmap)
        assert opened.rows["number"].tolist() == list(range(1, 41))
        assert opened.rows["height"].tolist() == [line["height"] for line in lines]
        pieces = [
            read_range(str(path), int(row["offset"]), int(row["size"])) for row in opened.rows
        ]
        assert b"".join(pieces) == path.read_bytes()
        assert opened.rows["label"].max() == 2
        assert opened.categories == {0: "cat", 1: "dog", 2: "traffic light"}
    assert made == [str(path)]
    assert {each.name for each in tmp_path.iterdir()} == {
        "train.jsonl",
        "train.jsonl.odvg_index",
        "labels.json",
    }


def test_changed_data_are_indexed_again(tmp_path, made):
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"dog", b"cow"))  # of the same size
    os.utime(path, ns=(1, 1))
    assert open_index(str(path)).categories[1] == "cow"
    path.write_bytes(content + content)
    assert len(open_index(str(path)).rows) == 20
    path.rename(tmp_path / "other.jsonl")
    kept(path).rename(kept(tmp_path / "other.jsonl"))  # says another name
    assert len(open_index(str(tmp_path / "other.jsonl")).rows) == 20
    assert len(made) == 4


@pytest.mark.parametrize("left", [0, 3, 100, -1, -8, -30])
def test_a_cut_index_is_made_again(tmp_path, made, left):
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    whole = kept(path).read_bytes()
    kept(path).write_bytes(whole[:left])
    assert len(open_index(str(path)).rows) == 10
    assert kept(path).read_bytes() == whole
    assert len(made) == 2


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize("kind", ["pickle", "rows", "footer", "noise"])
def test_a_foreign_index_is_made_again_and_not_run(tmp_path, made, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = write_lines(tmp_path, make_lines(10))
    open_index(str(path))
    whole = kept(path).read_bytes()
    foreign = dict(
        pickle=pickle.dumps(Evil()),
        rows=whole[ROW.itemsize :],
        footer=whole.replace(b'"rows": 10', b'"rows": []'),
        noise=np.random.default_rng(0).bytes(len(whole)),
    )[kind]
    kept(path).write_bytes(foreign)
    assert len(open_index(str(path)).rows) == 10
    assert kept(path).read_bytes() == whole
    assert not Path("evil").exists()


KILLED = """
import os, signal, sys
from glip.datasets.odvg import index

whole = index._row
count = 0

def row(record):
    global count
    count += 1
    if count == 5000:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(record)

index._row = row
index.open_index(sys.argv[1])
"""


def test_a_kill_leaves_no_index(tmp_path):
    path = write_lines(tmp_path, make_lines(6000))
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (part,) = tmp_path.glob(".*.part")
    assert part.stat().st_size > 0
    assert not kept(path).exists()
    assert len(open_index(str(path)).rows) == 6000


def test_several_at_once(tmp_path):
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


@pytest.mark.parametrize("cache", [True, False])
def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch, made, cache):
    path = write_lines(tmp_path / "data", make_lines(10))
    kept(path).mkdir()  # root writes anywhere, but not over a folder
    (kept(path) / "full").touch()
    whole = Path.touch

    def touch(self, *args, **others):
        if self.parent == path.parent or not cache:
            raise PermissionError(13, "Permission denied", str(self))
        whole(self, *args, **others)

    monkeypatch.setattr(Path, "touch", touch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        opened = open_index(str(path))
        assert opened.rows["number"].tolist() == list(range(1, 11))
        assert isinstance(opened.rows, np.memmap) == cache
    assert len(made) == (1 if cache else 2)
    assert len(list((tmp_path / "cache").rglob("*"))) == (3 if cache else 2)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n \n")
    for _ in range(2):
        opened = open_index(str(tmp_path / "a.jsonl"))
        assert (len(opened.rows), opened.lines) == (0, 0)
