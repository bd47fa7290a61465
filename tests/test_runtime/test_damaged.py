"""Exported models whose manifest, files or graphs are not what ``glip export`` wrote."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from glip.runtime import Detector, detector
from glip.runtime.manifest import read_manifest
from glip.text import Prompt
from glip.utils.errors import CheckpointError, ConfigError

NAN = float("nan")
SHA = {name: hashlib.sha256(b"").hexdigest() for name in ("text.onnx", "image.onnx", "answer.onnx")}
#: A manifest of a model with 4 channels; the tests change one value.
GOOD = {
    **dict(format_version=1, format="onnx", model="tiny", glip_version="1", precision="fp32"),
    **dict(static=None, resize=dict(rule="official", short=64, long=64, interpolation="bilinear")),
    **dict(mean=[103.5, 116.3, 123.7], std=[57.4, 57.1, 58.4], channels="bgr", size_divisor=32),
    **dict(strides=[8, 16, 32, 64, 128], anchor_scale=8, anchor_center=0.5, max_log_ratio=4.1),
    **dict(box_weights=[10.0, 10.0, 5.0, 5.0], channel_count=4, text_channels=4, max_tokens=256),
    **dict(chunked_size=-1, score_thr=0.05, nms_pre=1000, iou_threshold=0.6, max_per_img=100),
    **dict(min_bbox_size=0, default_score_thr=0.5, files=SHA, verified={}),
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """An exported model whose graphs are empty files."""
    tokenizers = pytest.importorskip("tokenizers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "star", "."]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    for name in SHA:
        (tmp_path / name).touch()
    write(tmp_path, GOOD)
    return tmp_path


def write(folder: Path, values: dict) -> None:
    """Write a manifest with the sha256 of the tokenizer as it is."""
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    files = values["files"]
    if files is SHA:
        files = {"tokenizer.json": digest, **SHA}
    (folder / "manifest.json").write_text(json.dumps({**values, "files": files}))


#: Setting -> values that it cannot have.
BAD = {
    "format_version": [0, 2, True, 1.0, "1", None, [1]],
    "format": ["", 5, None, "torch"],
    "model": [5, "", None, "x" * 1000],
    "precision": ["fp8", None],
    "static": [[0, 0], [-32, 32], [64], "64x64", [10**9, 32], [33, 33], [64.5, 64], [True, True]],
    "resize": [{}, None, 5, {"rule": "x"}, {"rule": "static", "short": 64, "long": 64}],
    "mean": [[0, 0], "x", [NAN] * 3, None, [[1], [2], [3]], ["1", "2", "3"], [1e39] * 3],
    "std": [[0, 0, 0], [NAN] * 3, [-1, -1, -1], [1], None],
    "channels": ["BGR", "gbr", None],
    "size_divisor": [0, -32, 1, 33, 10**9, "32", None, 32.0],
    "strides": [[8], [0] * 5, [-8] * 5, [8] * 5, "x", None, [8.0, 16, 32, 64, 128], [8, 16, 32]],
    "anchor_scale": [0, -1, "x", NAN, None, 1e308],
    "anchor_center": ["x", float("inf"), None, 100],
    "box_weights": [[0, 0, 0, 0], [1], "x", None, [NAN] * 4, [-1] * 4],
    "max_log_ratio": [NAN, "x", None, 1e6, -1],
    "channel_count": [0, -1, "x", 10**12],
    "text_channels": [0, -1, "x", 10**12],
    "max_tokens": [0, 1, "x", None, 2.5],
    "chunked_size": [0, "x", None, -7],
    "score_thr": [NAN, -1, 2, "x", None],
    "nms_pre": [0, -1, "x", 1.5],
    "iou_threshold": [NAN, -1, 2, "x"],
    "max_per_img": [0, -1, "x", None],
    "min_bbox_size": [NAN, "x", -1],
    "default_score_thr": [NAN, -1, 2, None],
    "files": [None, [], {}, {**SHA, "../a": "0" * 64}, {**SHA, "tokenizer.json": 5}],
    "verified": [None, 5],
}


@pytest.mark.parametrize("name", BAD)
def test_settings(folder, name):
    read_manifest(folder)
    for value in BAD[name]:
        write(folder, {**GOOD, name: value})
        with pytest.raises(CheckpointError, match=rf"(?s){name}.*xport the\s+model again"):
            read_manifest(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0",
        b"[1]",
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b'{"a": 1',
        b"\xff\xfe",
        b"9" * 5000,
    ],
)
def test_no_manifest(folder, content):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged: export the model again"):
        read_manifest(folder)


def test_other_manifests(folder):
    path = folder / "manifest.json"
    text = path.read_text()
    path.write_text(text[:-1] + ', "score_thr": 0.9}')  # twice
    with pytest.raises(CheckpointError, match="is damaged"):
        read_manifest(folder)
    for values in ({**GOOD, "other": 1}, {key: GOOD[key] for key in GOOD if key != "mean"}):
        write(folder, values)
        with pytest.raises(CheckpointError, match="lacks values, or has unknown ones"):
            read_manifest(folder)
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CheckpointError, match="is damaged"):
        read_manifest(folder)
    path.unlink()
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to("/dev/zero")):
        make()
        with pytest.raises(CheckpointError, match=r"it is a (folder|device)"):
            read_manifest(folder)
        path.rmdir() if path.is_dir() else path.unlink()


@pytest.mark.parametrize("folder", [None, 5, b"x", [1]])
def test_no_folder(folder):
    with pytest.raises(CheckpointError, match=r"expected a folder of `glip export`, got"):
        Detector(folder)


def test_files(folder, monkeypatch):
    monkeypatch.setattr(detector, "open_session", lambda *_: None)
    Detector(folder)
    for name in (*SHA, "tokenizer.json"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        with pytest.raises(CheckpointError, match=rf"{name}' is not the file that was exported"):
            Detector(folder)
        (folder / name).unlink()
        with pytest.raises(CheckpointError, match=f"lacks the file {name}"):
            Detector(folder)
        os.mkfifo(folder / name)
        with pytest.raises(CheckpointError, match=f"{name}' is a device, a pipe"):
            Detector(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    for threads in (0, -5, "x", 10**9, 1.5):
        with pytest.raises(ConfigError, match="threads"):
            Detector(folder, threads)


def test_tokenizers(folder, monkeypatch):
    monkeypatch.setattr(detector, "open_session", lambda *_: None)
    path = folder / "tokenizer.json"
    good = json.loads(path.read_text())
    for name, value in (
        ("post_processor", None),
        ("model", {**good["model"], "vocab": {"star": 0}}),
        ("model", 5),
    ):
        path.write_text(json.dumps({**good, name: value}))
        write(folder, GOOD)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json'"):
            Detector(folder)


def right(**inputs):
    """Return what graphs of 4 channels return, zeros."""
    if "input_ids" in inputs:
        return [np.zeros((*inputs["input_ids"].shape, 4), np.float32)]
    if "image" in inputs:
        return [np.zeros((1, 4, size, size), np.float32) for size in (8, 4, 2, 1, 1)]
    count, tokens = 64 + 16 + 4 + 1 + 1, inputs["hidden"].shape[1]
    return [np.zeros((1, count, *last), np.float32) for last in ((tokens,), (4,), ())]


def detect(folder: Path):
    model = Detector(folder)
    image = model.encode_image(np.zeros((64, 64, 3), np.uint8))
    return model.detect([image], [model.encode_text(Prompt.from_class_names(["star"]))])


@pytest.mark.parametrize("graph", ["text", "image", "answer"])
def test_graphs(folder, monkeypatch, graph):
    bad = [
        lambda outputs: [],
        lambda outputs: outputs[1:],
        lambda outputs: [*outputs, outputs[0]],
        lambda outputs: [each[..., :-1] for each in outputs],
        lambda outputs: [each[0] for each in outputs],
        lambda outputs: [np.zeros((), np.float32)] * len(outputs),
        lambda outputs: [each + np.float32(NAN) for each in outputs],
        lambda outputs: [*outputs[:-1], outputs[-1] - np.float32("inf")],
    ]
    change = None

    def open_session(folder, name, format, threads=None):
        def run(**inputs):
            return change(right(**inputs)) if name == graph else right(**inputs)

        return run

    monkeypatch.setattr(detector, "open_session", open_session)
    change = list
    (found,) = detect(folder)
    assert found.presence.tolist() == [0.5]
    for change in bad:  # noqa: B007  # read by the session
        with pytest.raises(CheckpointError, match=f"the graph {graph} returned"):
            detect(folder)


def test_broken_graph(folder):
    pytest.importorskip("onnxruntime")
    with pytest.raises(CheckpointError, match=r"text\.onnx' cannot be loaded"):
        Detector(folder)
