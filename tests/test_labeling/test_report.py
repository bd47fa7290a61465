"""The report of an output: counts that match its records, a histogram, a sheet of samples."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from glip.datasets.odvg.records import Region, grounding_record
from glip.labeling import ResumableOutput, Statistics, open_pairs, write_report
from glip.labeling.report import draw_histogram, draw_samples, format_report, sample_records
from glip.labeling.statistics import NUM_BINS
from tests.test_labeling.generated import write_pairs

CAPTION = "a red star and a blue ring"


def record_of(filename, regions=True):
    found = [
        Region([[10, 10, 60, 50]], "red star", [[2, 10]], [0.75]),
        Region([[70, 20, 90, 40], [5, 5, 20, 20]], "blue ring", [[17, 26]], [0.625, 0.5625]),
    ]
    return grounding_record(
        filename=filename, height=80, width=100, caption=CAPTION, regions=found if regions else []
    )


@pytest.fixture
def made(tmp_path):
    """An output of three records on two images, and its pairs; the third image was removed."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (0, 99, 0)).save(tmp_path / name)
    entries = [dict(filename=name, caption=CAPTION) for name in ("a.png", "b.png", "gone.png")]
    pairs = open_pairs(write_pairs(tmp_path / "pairs.jsonl", ["bad", *entries]), tmp_path)
    statistics = Statistics()
    statistics.counts.update(pictures=4, unreadable=1, captions=4, lines=3, phrases=4, boxes=6)
    statistics.excluded.update({"picture unreadable": 1})
    statistics.phrases.update({2: 3})
    statistics.boxes.update({0: 2, 1: 2, 2: 1, 30: 1})
    statistics.add_scores([0.75, 0.625, 0.5625, 0.1])
    with ResumableOutput(
        tmp_path / "out.jsonl", settings=dict(score_thr=0.5), num_batches=1
    ) as out:
        lines = [record_of("a.png"), record_of("b.png", regions=False), record_of("gone.png")]
        out.add_batch(lines, [], statistics)
        out.finish()
    return out, pairs


def test_files(made, tmp_path):
    text = write_report(*made, num_samples=5)
    assert (tmp_path / "out.jsonl.report.txt").read_text() == text + "\n"
    content = json.loads((tmp_path / "out.jsonl.report.json").read_text())
    assert content["phrases per caption"] == 2
    assert content["boxes per phrase"] == pytest.approx((2 + 2 + 30) / 6)
    assert content["share of phrases with a box"] == pytest.approx(4 / 6)
    assert content["counts"]["lines"] == 3
    assert content["left out of the pairs"] == {"invalid JSON": 1}
    with Image.open(tmp_path / "out.jsonl.samples.jpg") as sheet:
        assert sheet.width > 700  # two images: the third was removed
    with Image.open(tmp_path / "out.jsonl.scores.png") as histogram:
        assert histogram.width > 300


def test_text(made):
    lines = [line.split() for line in format_report(*made).splitlines()]
    for expected in (
        "pictures 4",
        "unreadable 1",
        "left out: picture unreadable 1",
        "1 2",
        "10 or more 1",
    ):
        assert expected.split() in lines


def test_histogram(tmp_path):
    statistics = Statistics()
    statistics.scores.update(dict.fromkeys(range(NUM_BINS), 10))
    draw_histogram(statistics, 0.3, tmp_path / "scores.png")
    with Image.open(tmp_path / "scores.png") as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    counts = {color: (pixels == color).all(1).sum() for color in ((31, 119, 180), (211, 211, 211))}
    kept, other = counts.values()
    assert kept / (kept + other) == pytest.approx(0.7, abs=0.02)


def test_sheet(made):
    out, pairs = made
    sheet = draw_samples(out.path, pairs, 1)
    assert sheet.shape[1] == 360
    assert (sheet[20, 20] == (0, 99, 0)).all()
    colors = {tuple(color) for color in sheet.reshape(-1, 3).tolist()}
    assert {(238, 67, 52), (40, 140, 249)} <= colors  # of the two phrases
    assert draw_samples(out.path, pairs, 0) is None


@pytest.mark.parametrize("number", [0, 1, 3, 50])
def test_spread(tmp_path, number):
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps({"at": at}) + "\n" for at in range(20)))
    found = [line["at"] for line in sample_records(path, number)]
    assert found == sorted(set(found))
    assert len(found) == min(number, 20)
    assert not found or found[0] == 0
    path.write_text("")
    assert sample_records(path, number) == []
