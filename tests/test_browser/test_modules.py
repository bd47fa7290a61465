"""The modules of the browser page, run in Node, equal glip.runtime."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import unicodedata
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from glip.runtime.detector import Detector, EncodedImage, EncodedPrompt
from glip.runtime.manifest import Manifest
from glip.runtime.postprocess import level_sizes, postprocess
from glip.runtime.preprocess import normalize_and_pad, resize
from glip.runtime.tokenizer import RuntimeTokenizer
from glip.text import Prompt
from glip.text.chunking import PromptChunk, chunk_prompt
from glip.text.tokenizer import load_tokenizer
from glip.text.tokens import find_unknown_phrases
from glip.utils.errors import PromptError
from glip.visualization.palette import WHITE, label_color, text_color

PAGE = Path(__file__).parents[2] / "demo" / "browser"
#: The small model's, with limits that short texts reach.
MANIFEST = Manifest(
    **dict(format_version=1, format="onnx", model="m", glip_version="0", precision="fp32"),
    **dict(static=None, resize=dict(rule="official", short=96, long=128), size_divisor=32),
    **dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], channels="bgr"),
    **dict(strides=[8, 16, 32, 64, 128], anchor_scale=4, anchor_center=0.5),
    **dict(box_weights=[10.0, 10.0, 5.0, 5.0], max_log_ratio=4.135166556742356),
    **dict(channel_count=64, text_channels=128, max_tokens=24, chunked_size=3),
    **dict(score_thr=0.3, nms_pre=40, iou_threshold=0.6, max_per_img=50, min_bbox_size=4),
    **dict(default_score_thr=0.6, files={}, verified={}),
)


def run(tmp_path: Path, *jobs: dict) -> list:
    """Run jobs in Node; see run_modules.js."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node")
    script = shutil.copy(Path(__file__).with_name("run_modules.js"), tmp_path / "run_modules.mjs")
    (tmp_path / "jobs.json").write_text(json.dumps(dict(page=PAGE.as_uri(), jobs=jobs)))
    done = subprocess.run(
        ["node", script, tmp_path / "jobs.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory) -> Path:
    """The vocabulary of BERT, as an exported model has it."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    load_tokenizer("bert-base-uncased").backend_tokenizer.save(str(path))
    return path


def python_captions(text: str, tokenizer: RuntimeTokenizer, manifest: Manifest) -> dict | None:
    """What the page's modules give for a text; None for an error."""
    limits = dict(max_tokens=manifest.max_tokens, chunked_size=manifest.chunked_size)
    try:
        prompt = Prompt.from_class_text(text)
        chunks = chunk_prompt(prompt, tokenizer, **limits)
    except PromptError:
        return None
    return dict(
        names=[dict(name=name, words=_words(prompt, i)) for i, name in enumerate(prompt.names)],
        captions=[
            dict(
                ids=list(chunk.tokens.input_ids),
                tokenMap=[np.flatnonzero(row).tolist() for row in chunk.tokens.token_map],
                labels=chunk.labels.tolist(),
            )
            for chunk in chunks
        ],
        unknown=[name for c in chunks for name in find_unknown_phrases(c.tokens, tokenizer)],
    )


def _words(prompt: Prompt, index: int) -> str:
    ((start, end),) = prompt.phrases[index].spans
    return prompt.caption[start:end]


def test_names_and_captions(tmp_path, tokenizer_file):
    parts = [
        *("red", "Star", "blue circle", ".", " . ", ". ", "..", "u.s. flag", "_", "(x)", "((", ")"),
        *("é", "Ünïcode", "星", "かに", "кот", "ΟΔΟΣ", "$", "-", "'", "\t", "\n", "\x1c", "\x85"),
        *("\ufeff", "\u3000", "\u200b", "[sep]", "[SEP]", "😀", "🏳️‍🌈", "wwwwwwwwwwwwwwwww", "İ"),
    ]
    rng = random.Random(0)
    texts = [
        "".join(rng.choice(parts) + rng.choice(["", " ", " . "]) for _ in range(rng.randint(1, 9)))
        for _ in range(600)
    ]
    texts += [
        " . ".join(f"name {n}" for n in range(500)),
        "a" * 101,
        "",
        " . ",
        "(x) . a",
        "z " * 23,
    ]
    tokenizer = RuntimeTokenizer(tokenizer_file)
    for manifest in (MANIFEST, replace(MANIFEST, chunked_size=-1)):
        job = dict(kind="texts", tokenizer=str(tokenizer_file), texts=texts)
        (found,) = run(tmp_path, dict(job, manifest=asdict(manifest)))
        wanted = [python_captions(text, tokenizer, manifest) for text in texts]
        assert 50 < sum(each is None for each in wanted) < 300
        assert sum(len(each["captions"]) > 1 for each in wanted if each) > 20
        for text, own, want in zip(texts, found, wanted, strict=True):
            if not text.strip(" .\t\n\x1c\x85\u3000"):
                assert own["names"] == []  # the page refuses it before the model is run
            elif want is None:
                assert "error" in own, text
            else:
                assert own == want, text


def test_every_character(tmp_path, tokenizer_file):
    """Each is a letter, a separator, dropped or in a word of its own, as in Python."""
    chars = map(chr, (*range(0x3000), *range(0x3000, 0x30000, 7), *range(0x1F300, 0x1F650)))
    # The tables of tokenizers are those of Unicode 8, and some characters have changed since.
    old = unicodedata.ucd_3_2_0.category
    kept = [c for c in chars if old(c) in (unicodedata.category(c), "Cn") and old(c) != "Cs"]
    texts = [f"a{c}b" for c in kept if old(c) != "Cn" or c >= "\U0001f300"]
    tokenizer = RuntimeTokenizer(tokenizer_file)
    job = dict(kind="tokens", tokenizer=str(tokenizer_file), texts=texts)
    (found,) = run(tmp_path, job)
    wanted = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    wrong = [ascii(t) for t, own, want in zip(texts, found, wanted, strict=True) if own != want]
    assert not wrong


@pytest.mark.parametrize("channels", ["bgr", "rgb"])
def test_input_of_the_network(tmp_path, channels):
    """Bit for bit; Pillow 13 may round pixels of tall images in another way."""
    rng = np.random.default_rng(0)
    static = replace(MANIFEST, static=[64, 96], channels=channels)
    sizes = [(1, 1), (1, 300), (257, 2), (130, 333), (96, 96), (40, 30), (5, 1000)]
    jobs, wanted = [], []
    for number, (height, width) in enumerate(sizes):
        rgba = rng.integers(0, 256, (height, width, 4), np.uint8)
        rgba.tofile(tmp_path / f"{number}.rgba")
        bgr = np.ascontiguousarray(rgba[..., 2::-1])
        for manifest in (replace(MANIFEST, channels=channels), static):
            resized = resize(bgr, manifest)
            wanted.append((resized.shape[:2], normalize_and_pad([resized], manifest)[0]))
            out = str(tmp_path / f"{len(jobs)}.out")
            image = dict(rgba=str(tmp_path / f"{number}.rgba"), height=height, width=width)
            jobs.append(dict(kind="image", manifest=asdict(manifest), out=out, **image))
    for job, found, (shape, array) in zip(jobs, run(tmp_path, *jobs), wanted, strict=True):
        assert found == dict(shape=list(shape), size=list(array.shape[1:]))
        own = np.fromfile(job["out"], np.float32).reshape(array.shape)
        level = 1.01 / min(MANIFEST.std) if shape[0] > 2 * shape[1] else 0
        assert np.abs(own - array).max() <= level, job


def test_detections(tmp_path):
    rng = np.random.default_rng(0)
    size, shape, original = (96, 128), (90, 120), (450, 620)
    count = sum(height * width for height, width in level_sizes(*size, MANIFEST))
    raw = dict(
        token_logits=rng.normal(-1.5, 1.5, (count, 7)),
        deltas=rng.normal(0, 3, (count, 4)),
        centerness=rng.normal(0, 1, count),
    )
    raw = {name: array.astype(np.float32) for name, array in raw.items()}
    raw["centerness"][5] = np.nan
    token_map = np.zeros((3, 7), dtype=bool)
    for row, tokens in enumerate(([1], [3, 4], [3, 5])):
        token_map[row, tokens] = True
    for name, array in raw.items():
        array.tofile(tmp_path / name)
    (own,) = run(
        tmp_path,
        dict(
            kind="detections",
            outputs={name: str(tmp_path / name) for name in raw},
            tokenMap=[np.flatnonzero(row).tolist() for row in token_map],
            image=dict(size=size, shape=shape, original=original),
            manifest=asdict(MANIFEST),
        ),
    )
    part = postprocess(*raw.values(), token_map, size, shape, MANIFEST)
    detector = Detector.__new__(Detector)
    detector.manifest = MANIFEST
    prompt = Prompt.from_class_names(["a", "b", "c"])
    chunk = PromptChunk(None, np.arange(3), prompt)  # type: ignore[arg-type]
    image = EncodedImage([], size, shape, original)
    want = detector._merge([part], EncodedPrompt(prompt, [chunk], []), image)
    assert len(want.scores) == MANIFEST.max_per_img
    assert [each["label"] for each in own["found"]] == want.labels.tolist()
    assert [each["score"] for each in own["found"]] == pytest.approx(want.scores, abs=1e-6)
    assert np.abs([each["box"] for each in own["found"]] - want.bboxes).max() < 1e-3
    assert own["presence"] == pytest.approx(want.presence, abs=1e-6)


def test_colors(tmp_path):
    (own,) = run(tmp_path, dict(kind="colors", count=80))
    colors = [label_color(label) for label in range(80)]
    assert own == [
        [list(color), "#fff" if text_color(color) == WHITE else "#000"] for color in colors
    ]
