"""The files of a labeling: stopped anywhere, they end as if it had never stopped."""

from __future__ import annotations

import os

import pytest

from glip.labeling import Output, Tally
from glip.labeling import output as module
from glip.utils.errors import LabelingMismatchError

SETTINGS = dict(score_thr=0.5, checkpoint="abc")
#: Of each block the lines, and what was left out.
BLOCKS = [
    ([{"caption": "a dög"}, {"caption": "b"}], []),
    ([], [{"reason": "no noun phrase"}]),
    ([{"caption": "half \ud83d"}], [{"reason": "x"}, {"reason": "y"}]),
    ([{"caption": "d"}], []),
]


class Killed(BaseException):
    """As if the process ended here."""


def work(path, settings=SETTINGS, blocks=BLOCKS) -> None:
    with Output(path, settings=settings, num_blocks=len(blocks)) as out:
        for lines, left_out in blocks[out.done :]:
            tally = Tally()
            tally.counts["lines"] += len(lines)
            out.add(lines, left_out, tally)
        if not out.finished:
            out.finish()
        assert out.tally.counts["lines"] == 4


def files(folder) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.fixture
def whole(tmp_path) -> dict[str, bytes]:
    folder = tmp_path / "whole"
    work(folder / "out.jsonl")
    return files(folder)


def test_the_files(whole):
    assert sorted(whole) == ["out.jsonl", "out.jsonl.left_out.jsonl", "out.jsonl.state.json"]
    assert whole["out.jsonl"].decode().splitlines() == [
        *('{"caption":"a dög"}', '{"caption":"b"}', '{"caption":"half \\ud83d"}', '{"caption":"d"}')
    ]


# Every call of these ends a run: files grown but no state, a state not replaced, no name yet.
@pytest.mark.parametrize("moment", ["os.fsync", "atomic_write", "replace"])
@pytest.mark.parametrize("torn", [b"", b'{"caption": "hal'])
def test_killed_anywhere(tmp_path, monkeypatch, whole, moment, torn):
    path = tmp_path / "cut" / "out.jsonl"
    owner, name = (os, "fsync") if moment == "os.fsync" else (module, moment)
    original = getattr(owner, name)
    stops = 0
    for stop in range(1, 30):
        calls = 0

        def kill(*args, stop=stop):
            nonlocal calls
            calls += 1
            if calls == stop:
                raise Killed
            return original(*args)

        for each in path.parent.glob("*"):
            each.unlink()
        monkeypatch.setattr(owner, name, kill)
        try:
            work(path)
        except Killed:
            stops += 1
        else:
            break
        finally:
            monkeypatch.setattr(owner, name, original)
        for each in path.parent.glob("*.part"):
            with open(each, "ab") as file:
                file.write(torn)
        work(path)
        assert {k: v for k, v in files(path.parent).items() if not k.startswith(".")} == whole
    assert stops >= (1 if moment == "replace" else 6)


def test_started_again_when_finished(tmp_path, whole):
    folder = tmp_path / "whole"
    work(folder / "out.jsonl")
    assert files(folder) == whole
    (folder / "out.jsonl").unlink()
    with pytest.raises(LabelingMismatchError, match="was finished and is gone"):
        work(folder / "out.jsonl")


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings(tmp_path, finished):
    path = tmp_path / "out.jsonl"
    with Output(path, settings=SETTINGS, num_blocks=4) as out:
        out.add(*BLOCKS[0], Tally())
        if finished:
            out.finish()
    before = files(tmp_path)
    with pytest.raises(LabelingMismatchError, match=r"score_thr \(0.5 then, 0.6 now\)\. Start"):
        work(path, SETTINGS | dict(score_thr=0.6))
    with pytest.raises(LabelingMismatchError, match=r"number of blocks \(4 then, 3 now\)"):
        work(path, blocks=BLOCKS[:3])
    assert files(tmp_path) == before


def test_files_of_others(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with pytest.raises(LabelingMismatchError, match="exists already"):
        work(path)
    assert files(tmp_path) == {"out.jsonl": b"mine"}
    path.unlink()
    (tmp_path / "out.jsonl.state.json").write_text("{}")
    with pytest.raises(LabelingMismatchError, match="not the state of a labeling"):
        work(path)


def test_shorter_than_it_was(tmp_path):
    path = tmp_path / "out.jsonl"
    with Output(path, settings=SETTINGS, num_blocks=4) as out:
        out.add(*BLOCKS[0], Tally())
    out.part.write_bytes(b"{}\n")
    with pytest.raises(LabelingMismatchError, match="has 3 bytes and had"):
        work(path)


@pytest.mark.skipif(module.fcntl is None, reason="this system has no such locks")
def test_two_processes_at_once(tmp_path):
    path = tmp_path / "out.jsonl"
    with (
        Output(path, settings=SETTINGS, num_blocks=4),
        pytest.raises(LabelingMismatchError, match="another process is writing"),
    ):
        work(path)
    work(path)
