"""The parts of a killed run: a part that was damaged, and those after it, are made again."""

from __future__ import annotations

import json
import os

import pytest

from glip.utils.errors import VideoError
from glip.video.frames import open_source
from glip.video.parts import Part, PartsFolder, VideoOutputs

SETTINGS = {"version": "1", "every": 2}
NAN = float("nan")


@pytest.fixture
def outputs(tmp_path) -> VideoOutputs:
    """Three parts of four frames, of a run that was killed."""
    pytest.importorskip("av")
    outputs = VideoOutputs(tmp_path / "out.mp4", tmp_path / "out.jsonl")
    folder = PartsFolder(outputs, SETTINGS, is_live=False)
    for number in range(3):
        folder.video_file.write_bytes(f"video {number}".encode())
        part = Part(4, 4 * number + 3, number * 0.16, (64, 48))
        folder.add(part, [json.dumps({"frame": 4 * number + at}) for at in range(4)])
    return outputs


def count(outputs: VideoOutputs) -> int:
    return len(PartsFolder(outputs, SETTINGS, is_live=False).done)


#: Value of a part -> values that it cannot have.
BAD = {
    "frames": [0, -1, "x", 5, None, 1.5, True],
    "last": [-1, 3, "x", None, 1.5, 4],
    "seconds": [-1, "x", NAN, None, 0.01],
    "size": [[0, 0], [64], [64, 50], "xy", None, ["64", "48"], [64.5, 48], 5],
    "digests": [{}, None, {"jsonl": "x"}, 5],
    "other": [1],
}


@pytest.mark.parametrize("name", BAD)
def test_values_of_a_part(outputs, name, caplog):
    assert count(outputs) == 3
    path = outputs.folder() / "000001.part.json"
    values = json.loads(path.read_text())
    for value in BAD[name]:
        path.write_text(json.dumps({**values, name: value}))
        assert count(outputs) == 1
        assert "000001.part.json is damaged: this part and those after it" in caplog.messages[-1]
    path.write_text(json.dumps(values))
    assert count(outputs) == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{}", b"[" * 99999, b"\xff", b"\0"])
def test_files_of_a_part(outputs, content):
    for kind in ("part.json", "jsonl", "mp4"):
        path = outputs.folder() / f"000001.{kind}"
        before = path.read_bytes()
        path.write_bytes(content)
        assert count(outputs) == 1
        path.unlink()
        assert count(outputs) == 1
        os.mkfifo(path)
        assert count(outputs) == 1
        path.unlink()
        path.write_bytes(before)
        assert count(outputs) == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"[" * 99999, b"\xff", b"\0", None])
def test_settings_that_cannot_be_read(outputs, content):
    path = outputs.folder() / "settings.json"
    path.unlink()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=r"has no settings\.json that can be read"):
        count(outputs)


def test_names_that_are_too_long():
    with pytest.raises(VideoError, match="there is no file"):
        open_source("x" * 5000)
