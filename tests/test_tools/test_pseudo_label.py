"""tools/pseudo_label.py finds the objects that generated captions name, also when interrupted."""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glip.datasets.odvg.records import boxes_of, check_record
from glip.text.noun_phrases import _load_spacy
from glip.utils.errors import ConfigError, LabelingMismatchError
from tests.test_labeling.generated import CHECKPOINT, draw_shapes, write_pairs
from tests.test_tools.commands import command, tool

#: Kills the process in the third batch, with half a record written.
KILLED = """
import os, signal, sys
from glip.labeling import ResumableOutput

commit = ResumableOutput._commit

def kill(self, *args):
    if self.done == 2:
        self._files[0].write(b'{"filename":"0000')
        self._files[0].flush()
        os.kill(os.getpid(), signal.SIGKILL)
    commit(self, *args)

ResumableOutput._commit = kill
from glip.cli import pseudo_label
pseudo_label.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shapes")


@pytest.fixture(scope="module")
def captions(shapes) -> list[dict]:
    return draw_shapes(shapes)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, captions) -> Path:
    """The images with their captions, one with three captions, and one missing image."""
    entries = [dict(filename=each["filename"], caption=each["caption"]) for each in captions]
    entries[3]["captions"] = ["a caption of nothing much, on the left", captions[4]["caption"]]
    entries.insert(5, dict(filename="absent.jpg", caption="a red star"))
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl", entries)


@pytest.fixture(scope="module")
def label(pairs, shapes):
    """Arguments of the command, and the command with them."""

    def arguments(out: Path, *more: str) -> list[str]:
        return [
            *("glip_nano_shapes", str(CHECKPOINT), str(pairs), str(out)),
            *("--images", str(shapes / "images"), "--batch-size", "2", "--device", "cpu"),
            *("--num-workers", "0", *more),
        ]

    def run(out: Path, *more: str) -> None:
        tool("pseudo_label.py").main(arguments(out, *more))

    run.arguments = arguments
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory, label) -> Path:
    """The output of an uninterrupted run, whose images are read by other processes."""
    out = tmp_path_factory.mktemp("whole") / "labels.jsonl"
    label(out, "--num-workers", "2")
    return out


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def overlap(one, other) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = np.prod(np.clip(high - low, 0, None))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common)


def test_the_boxes_are_those_of_the_phrases(whole, captions):
    by_name = {each["filename"]: each for each in captions}
    right, phrases = [], []
    for line in lines_of(whole):
        check_record(line)
        known = by_name[line["filename"]]
        if line["grounding"]["caption"] != known["caption"]:
            continue
        for region in line["grounding"]["regions"]:
            ((start, end),) = region["tokens_positive"]
            # A phrase is the annotated one without "a", "the", "two", ...; the rules that find it
            # take a last word for a verb now and then.
            (span,) = (span for span in known["truth"] if span[0] <= start and end <= span[1])
            phrases.append(span[1] == end)
            right += [
                max(overlap(np.array(box), np.array(true)) for true in known["truth"][span]) > 0.5
                for box in boxes_of(region)
            ]
    assert np.mean(phrases) > 0.9
    assert len(phrases) >= 0.8 * sum(len(each["truth"]) for each in captions)
    assert np.mean(right) > 0.75


def test_what_is_excluded_is_reported(whole, capsys):
    left_out = lines_of(whole.with_name("labels.jsonl.left_out.jsonl"))
    assert [each["filename"] for each in left_out if "caption" not in each] == ["absent.jpg"]
    report = json.loads(whole.with_name("labels.jsonl.report.json").read_text())
    counts = report["counts"]
    assert (counts["pictures"], counts["unreadable"], counts["captions"]) == (11, 1, 13)
    assert counts["lines"] == len(lines_of(whole)) == 13 - sum(report["left_out"].values())
    assert report["settings"]["score_thr"] == 0.5
    for name in ("samples.jpg", "scores.png"):
        with Image.open(whole.with_name(f"labels.jsonl.{name}")) as image:
            image.load()


def test_killed_and_resumed(tmp_path, label, whole):
    out = tmp_path / "labels.jsonl"
    command("-c", KILLED, *label.arguments(out), fails=True)
    assert not out.exists()
    part = Path(f"{out}.part").read_bytes()
    assert part.count(b"\n") >= 4
    assert part.endswith(b'{"filename":"0000')
    with pytest.raises(LabelingMismatchError, match=r"score_thr \(0.5 then, 0.6 now\)"):
        label(out, "--score-thr", "0.6")
    label(out)
    assert out.read_bytes() == whole.read_bytes()
    for name in ("left_out.jsonl", "report.json", "samples.jpg"):
        same = whole.with_name(f"labels.jsonl.{name}").read_bytes()
        assert out.with_name(f"labels.jsonl.{name}").read_bytes() == same, name


def test_finished_already(label, whole, capsys):
    before = whole.read_bytes()
    label(whole)
    assert "is finished already" in capsys.readouterr().out
    assert whole.read_bytes() == before
    with pytest.raises(LabelingMismatchError, match=r"started with other settings: keep_empty"):
        label(whole, "--keep-empty")


def test_shards(tmp_path, label, whole, monkeypatch):
    out = tmp_path / "labels.jsonl"
    label(out, "--shard", "0/2")
    with pytest.raises(LabelingMismatchError, match="shard 1/2 is not finished"):
        label(out, "--merge")
    for name, value in dict(RANK="1", WORLD_SIZE="2", LOCAL_RANK="1").items():
        monkeypatch.setenv(name, value)
    label(out, "--launcher", "pytorch")
    assert {each.name for each in tmp_path.glob("*-of-2")} == {
        "labels.jsonl.0-of-2",
        "labels.jsonl.1-of-2",
    }
    label(out, "--merge")
    assert out.read_bytes() == whole.read_bytes()
    report = (each.with_name("labels.jsonl.report.json").read_bytes() for each in (out, whole))
    assert len(set(report)) == 1


def test_tar(tmp_path, label, whole, pairs, shapes):
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for entry in lines_of(pairs):
            image = shapes / "images" / entry["filename"]
            text = tmp_path / "text.json"
            text.write_text(json.dumps(entry))
            if image.exists():
                tar.add(image, entry["filename"])
            else:
                tar.add(text, entry["filename"])  # no image
            tar.add(text, Path(entry["filename"]).with_suffix(".json").name)
    out = tmp_path / "labels.jsonl"
    tool("pseudo_label.py").main(
        [
            *("glip_nano_shapes", str(CHECKPOINT), str(tmp_path / "shard.tar"), str(out)),
            *("--batch-size", "2", "--num-workers", "0", "--device", "cpu", "--samples", "0"),
        ]
    )
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_name("labels.jsonl.samples.jpg").exists()


def test_wrong_options(tmp_path, label, monkeypatch, capsys):
    for more in (
        ["--shard", "2/2"],
        ["--score-thr", "1"],
        ["--batch-size", "0"],
        ["--num-workers", "-1"],
    ):
        with pytest.raises(SystemExit):
            label(tmp_path / "out.jsonl", *more)
        assert "expected" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "spacy", None)
    _load_spacy.cache_clear()
    with pytest.raises(ConfigError, match="pip install spacy"):
        label(tmp_path / "out.jsonl", "--np-extractor", "spacy")
    assert not list(tmp_path.iterdir())
