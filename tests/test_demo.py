"""The demo's command line: what it saves and prints, and how it ends with bad input."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from glip.cli import detect
from glip.cli.common import run_main
from glip.text import load_vocabulary

ROOT = Path(__file__).parents[1]


@pytest.fixture
def demo(tiny_config_file, tiny_checkpoint, photo, tmp_path) -> Callable[..., list[dict]]:
    """Run the demo here; gives the saved predictions."""

    def call(
        *options: str,
        inputs: object = photo,
        config: object = tiny_config_file,
        checkpoint: object = tiny_checkpoint,
        texts: tuple[str, ...] = ("--texts", "bench . car ."),
    ) -> list[dict]:
        out = tmp_path / "out"
        argv = [str(inputs), str(config), str(checkpoint), *texts, *options]
        run_main(lambda: detect.main([*argv, "--device", "cpu", "--out-dir", str(out)]))
        return [json.loads(file.read_text()) for file in sorted((out / "preds").glob("*.json"))]

    return call


def fails(demo: Callable, *args: str, **kwargs: object) -> str:
    """The sentence with which the demo ends."""
    with pytest.raises(SystemExit) as caught:
        demo(*args, **kwargs)
    message = caught.value.code  # a text here means exit code 1, and Python prints it
    assert isinstance(message, str)
    assert message.startswith("error: ")
    return message


def in_a_shell(*argv: object) -> subprocess.CompletedProcess:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [sys.executable, str(ROOT / "demo" / "image_demo.py"), *map(str, argv)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


# What it does


def test_from_a_shell(photo, tiny_config_file, tiny_checkpoint, tmp_path):
    done = in_a_shell(
        photo, tiny_config_file, tiny_checkpoint, "--texts", "bench . car .",
        "--out-dir", tmp_path / "out", "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == f"saved to {tmp_path / 'out'}"
    saved = json.loads((tmp_path / "out" / "preds" / "demo.json").read_text())
    names = saved["label_names"]
    assert lines[-2] == (
        f"{photo}: {names.count('bench')} x bench, {names.count('car')} x car, "
        "with a score of 0.3 or more; "
        f"in {tmp_path / 'out/preds/demo.json'} and {tmp_path / 'out/vis/demo.jpg'}"
    )
    described = {key: saved[key] for key in list(saved)[:6]}
    assert described == dict(
        image=str(photo),
        width=640,
        height=427,
        prompt="bench. car",
        model="tiny",
        score_thr=0.3,
    )
    assert list(saved)[6:] == [
        "labels", "label_names", "scores", "bboxes", "phrases", "presence",
    ]  # fmt: skip
    with Image.open(tmp_path / "out" / "vis" / "demo.jpg") as drawn, Image.open(photo) as image:
        assert drawn.size == image.size


def test_error_from_a_shell(photo, tiny_config_file, tmp_path):
    done = in_a_shell(photo, tiny_config_file, tmp_path / "no.pth", "--texts", "a", "--device=cpu")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: the checkpoint {tmp_path / 'no.pth'} does not exist")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["bench . car ."], ["bench", "car"]),
        (["bench. car"], ["bench", "car"]),
        (["bench", "traffic light"], ["bench", "traffic light"]),
        (["dog"], ["dog"]),
        (["$: coco"], list(load_vocabulary("coco"))),
    ],
)
def test_texts(demo, texts, names):
    (prediction,) = demo(texts=("--texts", *texts))
    assert len(prediction["labels"]) > 5
    assert prediction["label_names"] == [names[label] for label in prediction["labels"]]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], {"red bench", "car"}),
        (["--np-extractor", "rules"], {"red bench", "car"}),
        (["--tokens-positive", "[[[6, 11]], [[29, 32]]]"], {"bench", "car"}),
        (["--tokens-positive", "[[[2, 5], [6, 11]]]"], {"red bench"}),
        (["--tokens-positive", "-1"], {"A red bench stands next to a car."}),
    ],
)
def test_caption(demo, options, names):
    (prediction,) = demo(*options, texts=("--caption", "A red bench stands next to a car."))
    assert set(prediction["label_names"]) == names


def test_chunked_size(demo):
    texts = ("--texts", *load_vocabulary("coco")[:12])
    one_chunk, same, chunks = (
        demo("--chunked-size", size, texts=texts)[0] for size in ("-1", "12", "5")
    )
    assert one_chunk == same
    assert chunks["scores"] != one_chunk["scores"]
    assert set(chunks["label_names"]) <= set(load_vocabulary("coco")[:12])


def test_other_options(demo, tmp_path, capsys):
    assert demo("--no-save-pred", "--no-save-vis") == []
    assert "saved to" not in capsys.readouterr().out
    (prediction,) = demo("--print-result", "--cfg-options", "model.test_cfg.max_per_img=3")
    assert len(prediction["labels"]) == 3
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == [prediction]


def test_score_threshold(demo, capsys):
    """--score-thr limits what is saved and drawn, MMDetection's --pred-score-thr the drawing."""
    (by_default,), (high,) = demo(), demo("--score-thr", "0.5")
    (every,) = demo("--pred-score-thr", "0.5")
    (both,) = demo("--score-thr", "0.4", "--pred-score-thr", "0.5")
    printed = [line for line in capsys.readouterr().out.splitlines() if "with a score" in line]
    saved = [by_default, high, every, both]
    assert [each["score_thr"] for each in saved] == [0.3, 0.5, None, 0.4]
    scores = np.array(every["scores"])
    for each, threshold in ((by_default, 0.3), (high, 0.5), (both, 0.4)):
        assert each["scores"] == [*scores[scores >= threshold]]
    counts = [len(each["scores"]) for each in saved]
    assert counts[1] < counts[3] < counts[0] < counts[2]
    assert "0.5 or more;" in printed[1]
    assert f"0.5 or more (of {counts[2]} detections);" in printed[2]
    demo("--score-thr", "1")
    assert "nothing, with a score of 1 or more" in capsys.readouterr().out
    for wrong in ("nan", "high", "30", "-1"):
        with pytest.raises(SystemExit, match="2"):
            demo("--score-thr", wrong)


def test_faster(demo, monkeypatch):
    """Mixed precision finds the same up to rounding; the model is compiled once."""
    compiled = mock.Mock()
    monkeypatch.setattr("glip.models.compile.compile_model", compiled)
    (exact,), (found,) = demo(), demo("--amp", "bf16", "--compile")
    assert compiled.call_count == 1
    assert found["scores"] != exact["scores"]
    assert found["scores"][:10] == pytest.approx(exact["scores"][:10], rel=0.05, abs=0.02)
    assert "float16 needs a GPU" in fails(demo, "--amp", "fp16")


def test_folder(demo, photo, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    with Image.open(photo) as image:
        image.resize((200, 100)).save(folder / "a.jpg")
        image.resize((100, 200)).save(folder / "c.png")
    (folder / "b.jpg").write_bytes(b"nothing")
    assert len(demo("--batch-size", "2", inputs=folder)) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if "with a score" in line]
    assert len(lines) == 2
    for name in ("a.jpg", "c.png"):
        (folder / name).write_bytes(b"nothing")
    assert "none of the 3 images" in fails(demo, inputs=folder)


# Image formats


def exif_rotated(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(path, exif=exif)


def sixteen_bit(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)


@pytest.mark.parametrize(
    ("name", "save", "size"),
    [
        ("gray.png", lambda image, path: image.convert("L").save(path), (160, 107)),
        ("sixteen.png", sixteen_bit, (160, 107)),
        ("cmyk.jpg", lambda image, path: image.convert("CMYK").save(path), (160, 107)),
        ("rgba.png", lambda image, path: image.convert("RGBA").save(path), (160, 107)),
        ("palette.gif", lambda image, path: image.convert("P").save(path), (160, 107)),
        ("rotated.jpg", exif_rotated, (107, 160)),
        ("pixel.png", lambda image, path: image.resize((1, 1)).save(path), (1, 1)),
        ("line.png", lambda image, path: image.resize((300, 1)).save(path), (300, 1)),
        ("column.png", lambda image, path: image.resize((1, 300)).save(path), (1, 300)),
    ],
)
def test_image_formats(demo, photo, tmp_path, name, save, size):
    with Image.open(photo) as image:
        save(image.resize((160, 107)), tmp_path / name)
    (prediction,) = demo(inputs=tmp_path / name)
    boxes = np.array(prediction["bboxes"]).reshape(-1, 4)
    assert len(boxes)
    # A box may end less than a pixel past the border: the official + 1 comes after scaling.
    assert (boxes >= 0).all()
    assert (boxes < np.array([*size, *size]) + 1).all()
    with Image.open(tmp_path / "out" / "vis" / f"{Path(name).stem}.jpg") as drawn:
        assert drawn.size == size


def test_gray_is_the_same_in_every_depth(demo, photo, tmp_path):
    with Image.open(photo) as image:
        gray = image.resize((160, 107)).convert("L")
    gray.save(tmp_path / "8.png")
    sixteen_bit(gray, tmp_path / "16.png")
    gray.convert("RGB").save(tmp_path / "rgb.png")
    found = []
    for name in ("8.png", "16.png", "rgb.png"):
        (mine,) = [
            each for each in demo(inputs=tmp_path / name) if Path(each["image"]).name == name
        ]
        found.append(mine)
    for each in found:
        del each["image"]
    assert found[0] == found[1] == found[2]


def test_invalid_images(demo, photo, tmp_path):
    truncated = tmp_path / "truncated.jpg"
    truncated.write_bytes(photo.read_bytes()[:20000])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    for name, reason in (
        ("truncated.jpg", "truncated or damaged"),
        ("text.jpg", "not an image"),
        ("empty.png", "the file is empty"),
        ("nowhere.jpg", "does not exist"),
        ("folder", "has no images"),
    ):
        message = fails(demo, inputs=tmp_path / name)
        assert reason in message
        assert str(tmp_path / name) in message
        assert "\n" not in message


# Bad checkpoints, configs, devices and prompts


class Malicious:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def bad_checkpoints(folder: Path, good: Path) -> dict[str, str]:
    """Make files that are no checkpoint of the small model; file name -> part of the message."""
    torch.save({"model": {"a": torch.zeros(3)}}, folder / "other.pth")
    torch.save(torch.zeros(3), folder / "tensor.pth")
    torch.save({"epoch": 3}, folder / "nothing.pth")
    content = good.read_bytes()
    (folder / "truncated.pth").write_bytes(content[: len(content) // 2])
    (folder / "text.pth").write_text("no checkpoint")
    (folder / "empty.pth").touch()
    (folder / "bad.safetensors").write_text("no checkpoint")
    (folder / "folder").mkdir()
    torch.save({"model": Malicious(folder / "touched")}, folder / "malicious.pth")
    for protocol in (2, 4):
        content = pickle.dumps(Malicious(folder / "touched"), protocol=protocol)
        (folder / f"pickled{protocol}.pth").write_bytes(content)
    return {
        "other.pth": "not a GLIP checkpoint",
        "tensor.pth": "holds a Tensor",
        "nothing.pth": "holds no parameters",
        "truncated.pth": "cannot be read as a checkpoint",
        "text.pth": "cannot be read as a checkpoint",
        "empty.pth": "cannot be read as a checkpoint",
        "bad.safetensors": "cannot be read as .safetensors",
        "folder": "is a folder",
        "nowhere.pth": "does not exist",
        "malicious.pth": "could run code",
        "pickled2.pth": "could run code",
        "pickled4.pth": "checkpoint",
    }


def test_bad_checkpoints(demo, tmp_path, tiny_checkpoint):
    pickle.loads(pickle.dumps(Malicious(tmp_path / "harm")))
    assert (tmp_path / "harm").exists()  # so it would be noticed
    for name, reason in bad_checkpoints(tmp_path, tiny_checkpoint).items():
        message = fails(demo, checkpoint=tmp_path / name)
        assert reason in message
        assert str(tmp_path / name) in message
        assert "\n" not in message
    assert not (tmp_path / "touched").exists()


def test_checkpoint_of_another_config(demo):
    message = fails(demo, "--cfg-options", "model.bbox_head.num_dyhead_blocks=1")
    assert "does not fit this config" in message
    assert "unexpected: " in message


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("data.py", "data_root = 'data/'", "has no `model`"),
        ("rcnn.py", "model = dict(type='FasterRCNN', backbone=dict(type='ResNet'))", "FasterRCNN"),
        (
            "rcnn_mmdet.py",
            "default_scope = 'mmdet'\nmodel = dict(type='FasterRCNN', neck=dict(type='FPN'))",
            "FasterRCNN",
        ),
        ("dino.py", "model = dict(type='GLIP', num_queries=900)", "num_queries"),
        ("broken.py", "model = dict(", "cannot be read as a config"),
        ("photo.jpg", "jpeg", "cannot be read as a config"),
    ],
)
def test_configs_of_other_models(demo, tmp_path, name, content, reason):
    (tmp_path / name).write_text(content)
    message = fails(demo, config=tmp_path / name)
    assert reason in message
    assert str(tmp_path / name) in message
    assert "\n" not in message
    assert "mmdet" not in sys.modules


def test_no_such_config(demo):
    assert "Close names: glip_" in fails(demo, config="glip_tiny_a")


def test_no_such_device(demo):
    missing = f"cuda:{torch.cuda.device_count()}" if torch.cuda.is_available() else "cuda"
    argv = ["x.jpg", "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365", "x.pth", "--texts", "a"]
    for device in (missing, "gpu"):
        with pytest.raises(SystemExit, match=f"error: device '{device}' cannot be used here"):
            run_main(lambda device=device: detect.main([*argv, "--device", device]))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["--texts", ""], "prompt is empty"),
        (["--texts", " . . "], "prompt is empty"),
        (["--texts", "car", ""], "number 1 is empty"),
        (["--texts", "$: imagenet"], "vocabulary out of"),
        (["--texts", "car", "--tokens-positive", "[[[0, 1]]]"], "goes with --caption"),
        (["--caption", ""], "prompt is empty"),
        (["--caption", "of the"], "found no phrase to detect"),
        (["--caption", "a car", "--tokens-positive", "[[[2, 9]]]"], "not inside the caption"),
        (["--caption", "a car", "--tokens-positive", "[[[-3, 2]]]"], "not inside the caption"),
        (["--caption", "a car", "--tokens-positive", "[[[5, 2]]]"], "not inside the caption"),
        (["--caption", "a car", "--tokens-positive", "[[[0]]]"], "expected the spans"),
        (["--caption", "a car", "--tokens-positive", "[null]"], "expected the spans"),
        (["--caption", "a car", "--tokens-positive", "[]"], "expected tokens_positive"),
        (["--caption", "a car", "--tokens-positive", "null"], "expected --tokens-positive"),
        (["--caption", "a car", "--tokens-positive", "car"], "expected --tokens-positive"),
        (["--caption", "a car", "--tokens-positive", ""], "expected --tokens-positive"),
        (["--texts", "very " * 300 + "car"], "shorten it"),
    ],
)
def test_bad_prompts(demo, texts, reason):
    message = fails(demo, texts=tuple(texts))
    assert reason in message
    assert "\n" not in message


def test_no_place_to_save(demo, tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    assert "out" in fails(demo)


@pytest.mark.parametrize(
    "argv",
    [
        ["a.jpg", "b.py", "c.pth"],
        ["a.jpg", "b.py", "c.pth", "--texts", "a", "--caption", "b"],
        ["a.jpg", "b.py", "c.pth", "--texts", "a", "--batch-size", "0"],
        ["a.jpg", "b.py", "c.pth", "--texts", "a", "--cfg-options", "model.test_cfg"],
    ],
)
def test_usage(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        run_main(lambda: detect.main(argv))
    assert caught.value.code == 2
    assert "usage: " in capsys.readouterr().err
