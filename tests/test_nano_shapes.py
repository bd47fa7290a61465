"""The shipped small model works on new images, on held-out pairs and with captions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from glip.apis import DetInferencer
from glip.checkpoint import read_checkpoint
from glip.cli import detect
from tests.test_tools.commands import command, numbers_of, tool

ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "demo" / "glip_nano_shapes.safetensors"
IMAGE = ROOT / "demo" / "shapes.jpg"

#: A seed that neither training nor the documented evaluation used.
SEED = 77


@pytest.fixture(scope="module")
def numbers(tmp_path_factory) -> dict[str, float]:
    """Metrics of tools/test.py on images generated for this test."""
    out = tmp_path_factory.mktemp("shapes")
    make = tool("dataset_converters/make_shapes.py")
    make.main([str(out / "data"), "--seed", str(SEED), "--num-images", "60"])
    options = (f"data_root={out}/data/", "test_dataloader.num_workers=0")
    command(
        *("tools/test.py", "glip_nano_shapes", CHECKPOINT, "--work-dir", out / "work"),
        *("--cfg-options", *options, "test_dataloader.persistent_workers=False"),
    )
    return numbers_of(out / "work")


# The bounds are lower than the documented metrics, since sixty images are fewer than five hundred.
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("detection/coco/bbox_mAP_50_seen", 0.9),
        ("detection/coco/bbox_mAP_50_held_out", 0.8),
        ("detection/coco/bbox_mAP_s", 0.7),
        ("captions/flickr30k/Recall@1_all", 0.9),
    ],
)
def test_it_works(numbers, name, least):
    assert numbers[name] >= least


def test_the_file():
    assert CHECKPOINT.stat().st_size <= 10 * 2**20
    checkpoint = read_checkpoint(str(CHECKPOINT))
    assert checkpoint["meta"]["config"] == "glip_nano_shapes"
    tensors = checkpoint["state_dict"]
    assert {each.dtype for each in tensors.values()} <= {torch.float16, torch.uint8, torch.int64}


def test_the_demo_takes_it_by_default(tmp_path, capsys):
    detect.main(
        [
            *(str(IMAGE), "--texts", "red star . green triangle . purple square . blue star ."),
            *("--out-dir", str(tmp_path), "--device", "cpu", "--pred-score-thr", "0.6"),
        ]
    )
    found = json.loads((tmp_path / "preds" / "shapes.json").read_text())
    kept = Counter(
        name for name, s in zip(found["label_names"], found["scores"], strict=True) if s >= 0.6
    )
    assert kept == {"red star": 1, "green triangle": 1, "purple square": 2}
    assert "2 x purple square" in capsys.readouterr().out


def test_a_config_needs_its_checkpoint(capsys):
    with pytest.raises(SystemExit):
        detect.main([str(IMAGE), "glip_nano_shapes", "--texts", "red ring ."])
    assert "expected one checkpoint" in capsys.readouterr().err


def test_captions_need_no_config():
    """The checkpoint names its config and brings its vocabulary."""
    detect = DetInferencer(weights=CHECKPOINT, device="cpu", show_progress=False)
    found = detect(str(IMAGE), texts="A red star left of a green triangle.")["predictions"][0]
    # Best first: of several with one name the first stays.
    best = dict(zip(reversed(found["label_names"]), reversed(found["bboxes"]), strict=True))
    star, triangle = best["red star"], best["green triangle"]
    assert star[2] < triangle[2]


@pytest.mark.slow
def test_its_training_starts(tmp_path):
    """The commands of docs/shapes.md, with few images and three steps."""
    make = tool("dataset_converters/make_shapes.py")
    train, val = (tmp_path / "data" / "shapes" / name for name in ("train", "val"))
    make.main([str(train), "--seed", "0", "--num-images", "16", "--without-held-out"])
    make.main([str(val), "--seed", "1", "--num-images", "2"])
    printed = command(
        *(ROOT / "tools/train.py", "glip_nano_shapes", "--work-dir", tmp_path / "work"),
        *("--cfg-options", "train_cfg.max_iters=3", "train_cfg.val_interval=3"),
        *("train_dataloader.num_workers=0", "train_dataloader.persistent_workers=False"),
        *("val_dataloader.num_workers=0", "val_dataloader.persistent_workers=False"),
        cwd=tmp_path,
    )
    assert (tmp_path / "work" / "iter_3.pth").is_file()
    assert "detection/coco/bbox_mAP_50_seen" in printed  # it was validated
