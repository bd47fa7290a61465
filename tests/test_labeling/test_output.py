"""The files of a labeling run: interrupted anywhere, they end as if it had never stopped."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from glip.labeling import ResumableOutput, Statistics
from glip.labeling import output as module
from glip.utils.errors import LabelingMismatchError, StorageError

SETTINGS = dict(score_thr=0.5, checkpoint="abc")
#: Of each batch the records, and what was excluded.
BATCHES = [
    ([{"caption": "a dög"}, {"caption": "b"}], []),
    ([], [{"reason": "no noun phrase"}]),
    ([{"caption": "half \ud83d"}], [{"reason": "x"}, {"reason": "y"}]),
    ([{"caption": "d"}], []),
]


class Killed(BaseException):
    """Ends the process, as a kill would."""


def work(path, settings=SETTINGS, batches=BATCHES) -> None:
    with ResumableOutput(path, settings=settings, num_batches=len(batches)) as out:
        for records, excluded in batches[out.done :]:
            statistics = Statistics()
            statistics.counts["lines"] += len(records)
            out.add_batch(records, excluded, statistics)
        if not out.finished:
            out.finish()
        assert out.statistics.counts["lines"] == 4


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


# Each call of these ends a run: files grown but no state, a state not replaced, not renamed yet.
@pytest.mark.parametrize("moment", ["os.fsync", "atomic_write", "fsync_rename"])
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
    assert stops >= (1 if moment == "fsync_rename" else 6)


def test_started_again_when_finished(tmp_path, whole):
    folder = tmp_path / "whole"
    work(folder / "out.jsonl")
    assert files(folder) == whole
    (folder / "out.jsonl").unlink()
    with pytest.raises(LabelingMismatchError, match="was finished but is missing"):
        work(folder / "out.jsonl")


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings(tmp_path, finished):
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, settings=SETTINGS, num_batches=4) as out:
        for batch in BATCHES if finished else BATCHES[:1]:
            out.add_batch(*batch, Statistics())
        if finished:
            out.finish()
    before = files(tmp_path)
    with pytest.raises(LabelingMismatchError, match=r"score_thr \(0.5 then, 0.6 now\)\. Resume"):
        work(path, SETTINGS | dict(score_thr=0.6))
    with pytest.raises(LabelingMismatchError, match=r"number of batches \(4 then, 3 now\)"):
        work(path, batches=BATCHES[:3])
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    ["", "x", "[]", "5", "null", "{", '"a"', "[" * 9000, '{"a":' * 9000, '{"statistics": 5}'],
)
def test_a_damaged_state(tmp_path, content):
    (tmp_path / "out.jsonl.state.json").write_text(content)
    with pytest.raises(LabelingMismatchError, match="not the state of a labeling run"):
        work(tmp_path / "out.jsonl")


#: Value of a state -> values that it cannot have.
BAD_STATES = {
    "done": [-1, 99, 1.5, True, "1", None, 10**30],
    "batches": [-1, "4", None, 2.5],
    "sizes": [None, [0], [-1, -1], ["a", "b"], [0, 0, 0], 5, [1.5, 2]],
    "finished": [None, 0, "no", 5],
    "settings": [None, 5, [], "a"],
    "statistics": [None, 5, {}, {"counts": 5}],
}


@pytest.mark.parametrize("name", BAD_STATES)
@pytest.mark.parametrize("finished", [True, False])
def test_values_of_a_state(tmp_path, name, finished):
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, settings=SETTINGS, num_batches=len(BATCHES)) as out:
        for batch in BATCHES if finished else BATCHES[:2]:
            out.add_batch(*batch, Statistics())
        if finished:
            out.finish()
    file = tmp_path / "out.jsonl.state.json"
    state = json.loads(file.read_text())
    changes = [{name: value} for value in BAD_STATES[name]]
    if name == "statistics":
        changes += [{name: {**state[name], "counts": {"boxes": bad}}} for bad in (-1, "x", 0.5)]
    before = files(tmp_path)
    for change in changes:
        file.write_text(json.dumps(state | change))
        with pytest.raises(LabelingMismatchError, match="not the state of a labeling run"):
            work(path)
        assert {**files(tmp_path), file.name: before[file.name]} == before


def test_records_that_were_changed(tmp_path, whole):
    folder = tmp_path / "whole"
    content = whole["out.jsonl"]
    for changed in (content[:-1], content + b"{}\n", content.replace(b"d", b"e"), b"", b"\0" * 9):
        (folder / "out.jsonl").write_bytes(changed)
        with pytest.raises(LabelingMismatchError, match="was changed since the run finished"):
            work(folder / "out.jsonl")
    (folder / "out.jsonl").write_bytes(content)
    work(folder / "out.jsonl")


def test_files_of_others(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("mine")
    with pytest.raises(LabelingMismatchError, match="already exists without a state file"):
        work(path)
    assert files(tmp_path) == {"out.jsonl": b"mine"}
    path.unlink()
    (tmp_path / "out.jsonl.state.json").write_text("{}")
    with pytest.raises(LabelingMismatchError, match="not the state of a labeling run"):
        work(path)


def test_shorter_than_it_was(tmp_path):
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, settings=SETTINGS, num_batches=4) as out:
        out.add_batch(*BATCHES[0], Statistics())
    out.part.write_bytes(b"{}\n")
    with pytest.raises(LabelingMismatchError, match="has 3 bytes but had"):
        work(path)


@pytest.mark.skipif(module.fcntl is None, reason="this system has no such locks")
def test_two_processes_at_once(tmp_path):
    path = tmp_path / "out.jsonl"
    with (
        ResumableOutput(path, settings=SETTINGS, num_batches=4),
        pytest.raises(LabelingMismatchError, match="another process is writing"),
    ):
        work(path)
    work(path)


@pytest.mark.skipif(module.fcntl is None, reason="this system has no such locks")
def test_a_forked_worker_does_not_keep_the_lock(tmp_path):
    """Data-loading workers outlive a killed process by seconds; a restart does not wait."""
    path = tmp_path / "out.jsonl"
    with ResumableOutput(path, settings=SETTINGS, num_batches=4) as out:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.write(writer, b"1")  # what runs after a fork has run
            time.sleep(60)
            os._exit(0)
        os.read(reader, 1)
        os.close(reader)
        os.close(writer)
        out._stack.close()  # what the end of the process does
        try:
            with ResumableOutput(path, settings=SETTINGS, num_batches=4):
                assert os.waitpid(child, os.WNOHANG) == (0, 0)  # it still runs
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def test_a_full_disk(tmp_path, whole):
    """The message names the file; what was finished is kept, and the run resumes."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "cut" / "out.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    first = Statistics()
    first.counts["lines"] += 2

    def fill() -> None:
        with ResumableOutput(path, settings=SETTINGS, num_batches=4) as out:
            out.add_batch(*BATCHES[0], first)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
            out.add_batch([{"text": "x" * 100} for _ in range(200)], [], Statistics())

    try:
        message = r"out\.jsonl\.part' cannot be written .*the same command continues"
        with pytest.raises(StorageError, match=message):
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    work(path)
    assert files(path.parent) == whole
