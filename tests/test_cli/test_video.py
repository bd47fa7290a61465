"""The command ``glip video``: its outputs, and a run that ends in the middle and resumes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from glip.apis.streaming import StreamOptions, VideoDetector
from glip.apis.video_run import VideoRun, run_video
from glip.cli.video import main
from glip.utils.errors import VideoError
from glip.video.frames import open_source
from glip.video.parts import PartsFolder, VideoOutputs
from tests.test_video.conftest import clip, nano  # noqa: F401

pytest.importorskip("av")

#: Runs the command with parts of ten frames.
SCRIPT = """
import sys
from glip.apis.streaming import StreamOptions, VideoDetector
from glip.apis.video_run import VideoRun, run_video
from glip.video.frames import open_source
from glip.video.parts import VideoOutputs
from glip.apis import init_detector
from pathlib import Path

clip, out, lines, *names = sys.argv[1:]
detector = VideoDetector(init_detector(weights="glip_nano_shapes", device="cpu"), names)
outputs = VideoOutputs(Path(out), Path(lines))
run_video(VideoRun(open_source(clip), detector, StreamOptions(2, 1), outputs, frames_per_part=4))
"""


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def pixels(path: Path) -> list[np.ndarray]:
    return [each.image for each in open_source(path).read()]


def test_command(clip, tmp_path, capsys):  # noqa: F811
    out, lines = tmp_path / "new" / "out.mp4", tmp_path / "out.jsonl"
    argv = [str(clip.path), "--texts", *clip.names, "--out", str(out), "--json", str(lines)]
    main([*argv, "--start", "0.8", "--end", "1.2", "--batch-size", "4"])
    assert "10 frames: " in capsys.readouterr().out
    records = read(lines)
    assert [each["frame"] for each in records] == list(range(20, 30))
    assert all(each["keyframe"] and "ids" not in each for each in records)
    assert set(clip.names) == {name for each in records for name in each["label_names"]}
    frames = pixels(out)
    assert len(frames) == 10
    source = pixels(clip.path)[20]
    assert frames[0].shape == source.shape
    x1, y1, x2, _ = map(int, records[0]["bboxes"][0])
    assert np.abs(frames[0].astype(int) - source).mean() > 1  # boxes are drawn
    assert np.abs(frames[0][y1, x1:x2].astype(int) - source[y1, x1:x2]).mean() > 15
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["new", "out.jsonl", "out.mp4"]
    with pytest.raises(VideoError, match="exists"):
        main(argv)


def test_counts(clip, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("trackers")
    lines = tmp_path / "out.jsonl"
    main([str(clip.path), "--texts", *clip.names, "--json", str(lines), "--every", "10"])
    assert "2 x green square, 1 x yellow heart; in" in capsys.readouterr().out
    records = read(lines)
    assert [each["frame"] for each in records if each["keyframe"]] == [0, 10, 20, 30, 40]
    assert {each for record in records for each in record["ids"]} - {None} == {1, 2, 3}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["a.mp4", "--texts", "a"], "--out VIDEO.mp4 or --json"),
        (["a.mp4", "--texts", "a", "--out", "a.avi"], "NAME.mp4"),
        (["a.mp4", "--texts", "a", "--out", "./a.mp4"], "different files"),
        (["a.mp4", "--texts", "a", "--json", "b", "--start", "2", "--end", "1"], "after --start"),
        (["a.mp4", "--json", "b"], "one of the arguments --texts"),
    ],
)
def test_usage_errors(argv, message, capsys):
    with pytest.raises(SystemExit):
        main(argv)
    assert message in capsys.readouterr().err


def run_of(clip, model, folder: Path, every: int, **values) -> VideoRun:  # noqa: F811
    folder.mkdir(exist_ok=True)
    return VideoRun(
        open_source(clip.path),
        VideoDetector(model, clip.names, score_thr=values.pop("score_thr", None)),
        StreamOptions(every, 2),
        VideoOutputs(folder / "out.mp4", folder / "out.jsonl", **values),
        end=1.2,
        show_progress=False,
        frames_per_part=8,
    )


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_that_fails_resumes(clip, nano, tmp_path, monkeypatch, every):  # noqa: F811
    if every > 1:
        pytest.importorskip("trackers")
    whole = run_video(run_of(clip, nano, tmp_path / "whole", every))

    class Fails:
        def __init__(self):
            self.source = open_source(clip.path)
            self.__dict__.update(vars(self.source))

        def read(self, first=0, start=0.0):
            for frame in self.source.read(first, start):
                if frame.index == 21:
                    raise KeyboardInterrupt
                yield frame

    run = run_of(clip, nano, tmp_path / "part", every)
    monkeypatch.setattr("glip.apis.video_run._identity", lambda source: source.name)
    failing = VideoRun(**{**vars(run), "source": Fails()})
    with pytest.raises(KeyboardInterrupt):
        run_video(failing)
    with pytest.raises(VideoError, match="other settings \\(score-thr\\)"):
        run_video(run_of(clip, nano, tmp_path / "part", every, score_thr=0.5))
    resumed = run_video(run)
    assert 8 <= resumed.num_resumed < 21
    assert (resumed.num_frames, resumed.objects) == (whole.num_frames, whole.objects)
    one, two = tmp_path / "whole", tmp_path / "part"
    assert (one / "out.jsonl").read_bytes() == (two / "out.jsonl").read_bytes()
    frames = pixels(one / "out.mp4"), pixels(two / "out.mp4")
    assert len(frames[0]) == 30
    assert all((a == b).all() for a, b in zip(*frames, strict=True))
    assert sorted(each.name for each in two.iterdir()) == ["out.jsonl", "out.mp4"]


def test_a_damaged_part_is_made_again(clip, nano, tmp_path, monkeypatch):  # noqa: F811
    run = run_of(clip, nano, tmp_path, 1)
    monkeypatch.setattr(PartsFolder, "finish", lambda *_: None)  # killed before they are joined
    run_video(run)
    monkeypatch.undo()
    part = tmp_path / "out.mp4.parts" / "000001.jsonl"
    part.write_text(part.read_text().replace('"frame": 9', '"frame": 90'))
    assert run_video(run).num_resumed == 8
    assert [each["frame"] for each in read(tmp_path / "out.jsonl")] == list(range(30))
    assert len(pixels(tmp_path / "out.mp4")) == 30


@pytest.mark.kills
def test_a_killed_run_resumes(clip, tmp_path):  # noqa: F811
    pytest.importorskip("trackers")

    def start(name: str) -> subprocess.Popen:
        (tmp_path / name).mkdir(exist_ok=True)
        outputs = [str(tmp_path / name / each) for each in ("out.mp4", "out.jsonl")]
        argv = [sys.executable, "-c", SCRIPT, str(clip.path), *outputs, *clip.names]
        return subprocess.Popen(argv, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)

    whole = start("whole")
    assert whole.wait() == 0
    for number in (1, 4):  # killed twice, in different parts
        killed = start("killed")
        marker = tmp_path / "killed" / "out.mp4.parts" / f"{number:06d}.part.json"
        while not marker.exists():
            assert killed.poll() is None
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    assert not (tmp_path / "killed" / "out.mp4").exists()
    assert start("killed").wait() == 0
    one, two = tmp_path / "whole", tmp_path / "killed"
    assert (one / "out.jsonl").read_bytes() == (two / "out.jsonl").read_bytes()
    frames = pixels(one / "out.mp4"), pixels(two / "out.mp4")
    assert all((a == b).all() for a, b in zip(*frames, strict=True))
    assert sorted(each.name for each in two.iterdir()) == ["out.jsonl", "out.mp4"]


def test_a_live_source_is_recorded_until_interrupt(clip, nano, tmp_path):  # noqa: F811
    class Live:
        def __init__(self):
            self.source = open_source(clip.path)
            self.__dict__.update(vars(self.source))
            self.is_live = True

        def read(self, first=0, start=0.0):
            for frame in self.source.read(first, start):
                yield frame
            os.kill(os.getpid(), signal.SIGINT)
            yield frame

    run = run_of(clip, nano, tmp_path, 1)
    summary = run_video(VideoRun(**{**vars(run), "source": Live(), "end": None}))
    assert summary.num_frames >= 1  # the frames come much faster than the model runs
    assert summary.num_frames + summary.num_dropped <= 42
    assert len(read(tmp_path / "out.jsonl")) == len(pixels(tmp_path / "out.mp4"))
    (tmp_path / "out.mp4.parts").mkdir()
    with pytest.raises(VideoError, match="recording that was killed"):
        run_video(VideoRun(**{**vars(run), "source": Live()}))
