"""Detections in the frames of a generated video: accuracy, ids, memory, errors."""

from __future__ import annotations

import contextlib
import io
import sys
import types

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from glip.apis import inference_detector, stream
from glip.apis.streaming import StreamOptions, VideoDetector
from glip.models import GLIP
from glip.utils.errors import ConfigError, DependencyError, PromptError, VideoError
from glip.video.frame import Frame
from glip.video.frames import open_source
from tests.test_video.conftest import clip, nano  # noqa: F401

pytest.importorskip("av")


def test_every_frame_as_an_image(clip, nano):  # noqa: F811
    """Without tracking, a frame has what inference_detector finds in it."""
    pixels = [each.image for each in open_source(clip.path).read()]
    results = list(stream(clip.path, clip.names, model=nano, start=1.5))
    assert [index for index, _, _ in results] == [38, 39, 40]
    for index, seconds, sample in results:
        assert seconds == pytest.approx(index / 25)
        expected = inference_detector(nano, pixels[index], text_prompt=clip.names, score_thr=0.6)
        assert torch.equal(sample.pred_instances.bboxes, expected.pred_instances.bboxes)
        assert "track_ids" not in sample.pred_instances


@pytest.mark.parametrize(("every", "batch_size"), [(1, 4), (5, 2)])
def test_accuracy(clip, nano, tmp_path, every, batch_size):  # noqa: F811
    """Detection AP by pycocotools, HOTA and IDF1 by trackers' evaluation."""
    pytest.importorskip("trackers")
    from trackers.eval import evaluate_mot_sequence

    results = list(
        stream(clip.path, clip.names, model=nano, every=every, track=True, batch_size=batch_size)
    )
    assert [index for index, _, _ in results] == list(range(41))
    truth, found, true_lines, lines = [], [], [], []
    for index, _, sample in results:
        for object_id, ((x1, y1, x2, y2), name) in clip.frames[index].objects.items():
            box = [x1, y1, x2 - x1, y2 - y1]
            category = clip.names.index(name)
            truth.append(dict(image_id=index, category_id=category, bbox=box))
            true_lines.append([index + 1, object_id, *box, 1, 1, 1])
        instances = sample.pred_instances
        for (x1, y1, x2, y2), score, label, track in zip(
            *(instances[key].tolist() for key in ("bboxes", "scores", "labels", "track_ids")),
            strict=True,
        ):
            box = [x1, y1, x2 - x1, y2 - y1]
            found.append(dict(image_id=index, category_id=label, bbox=box, score=score))
            if track > 0:
                lines.append([index + 1, track, *box, score, -1, -1, -1])
    assert average_precision(truth, found, len(clip.names)) > 0.6
    for name, rows in (("truth.txt", true_lines), ("found.txt", lines)):
        (tmp_path / name).write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    scores = evaluate_mot_sequence(
        tmp_path / "truth.txt", tmp_path / "found.txt", metrics=["HOTA", "Identity"]
    )
    assert scores.Identity.IDF1 > 0.85
    assert scores.HOTA.HOTA > 0.7


def average_precision(truth: list[dict], found: list[dict], num_classes: int) -> float:
    """Return COCO's AP."""
    coco = COCO()
    for number, each in enumerate(truth, 1):
        each.update(id=number, area=each["bbox"][2] * each["bbox"][3], iscrowd=0)
    images = [dict(id=index) for index in sorted({each["image_id"] for each in truth})]
    categories = [dict(id=each) for each in range(num_classes)]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.dataset = dict(images=images, annotations=truth, categories=categories)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize(("every", "batch_size"), [(1, 1), (4, 3)])
def test_frames_are_read_as_they_are_used(tiny_model, monkeypatch, every, batch_size):
    """The text is encoded once, and at most a batch and its keyframes' distance is read ahead."""
    if every > 1:
        pytest.importorskip("trackers")
    encoded = []
    encode = GLIP.encode_chunks
    monkeypatch.setattr(
        GLIP, "encode_chunks", lambda self, prompts: encoded.append(1) or encode(self, prompts)
    )
    read = []

    def frames():
        for index in range(30):
            read.append(index)
            yield Frame(index, index / 25, np.full((32, 48, 3), index, np.uint8))

    detector = VideoDetector(tiny_model, "dog . cat .", score_thr=0.9)
    options = StreamOptions(every, batch_size)
    for number, result in enumerate(detector.detect(frames(), options, 25.0)):
        assert result.frame.index == number
        assert result.is_keyframe == (number % every == 0 or number == 29)
        assert len(read) - number <= (batch_size + 1) * every + 1
    assert number == 29
    assert len(encoded) == 1


def test_classes(clip, nano):  # noqa: F811
    classes = {"classes": {"star": {"prompts": ["red star"]}, "disc": {"prompts": ["blue circle"]}}}
    _, _, sample = next(stream(clip.path, classes=classes, model=nano))
    assert set(sample.pred_instances.label_names) <= {"star", "disc"}
    with pytest.raises(PromptError, match="got both"):
        stream(clip.path, "red star", classes=classes, model=nano)


def test_errors_before_the_first_frame(clip, tiny_model, tmp_path):  # noqa: F811
    for options, message in (
        (dict(every=0), "every"),
        (dict(batch_size=0), "batch_size"),
        (dict(start=-1), "start"),
        (dict(fps=0), "fps"),
        (dict(start=2, end=1), "expected end after start"),
        (dict(start=1, end=1), "expected end after start"),
        (dict(track=1), "track"),
        (dict(score_thr="a"), "score_thr"),
    ):
        with pytest.raises(ConfigError, match=message):
            stream(clip.path, "dog .", model=tiny_model, **options)
    with pytest.raises(PromptError, match="no prompt"):
        stream(clip.path, model=tiny_model)
    with pytest.raises(VideoError, match="no file"):
        stream(tmp_path / "a.mp4", "dog .", model=tiny_model)


@pytest.mark.parametrize(("name", "message"), [("av", "pip install av"), ("trackers", "numpy 2")])
def test_missing_packages(clip, tiny_model, monkeypatch, name, message):  # noqa: F811
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=message):
        stream(clip.path, "dog .", model=tiny_model, every=2)


def test_folder_needs_neither_av_nor_trackers(tiny_model, monkeypatch, tmp_path):
    for name in ("av", "trackers"):
        monkeypatch.setitem(sys.modules, name, None)
    from PIL import Image

    for number in range(2):
        Image.new("RGB", (48, 32)).save(tmp_path / f"{number}.png")
    results = stream(tmp_path, "dog .", model=tiny_model, fps=2)
    assert isinstance(results, types.GeneratorType)
    assert [(index, seconds) for index, seconds, _ in results] == [(0, 0.0), (1, 0.5)]
