"""A resumed evaluation is of the same weights, annotations and config, or it is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from glip.checkpoint import read_checkpoint
from glip.engine import GLIPRunner
from glip.evaluation import DumpDetResults
from glip.utils.errors import EvaluationMismatchError
from tests.test_tools.training import nothing_left
from tests.training import training_config


@pytest.fixture
def data(examples, tmp_path) -> Path:
    """A copy of the examples that a test may change."""
    shutil.copytree(examples, tmp_path / "examples")
    return tmp_path / "examples"


@pytest.fixture
def weights(tiny_checkpoint, tmp_path) -> Path:
    return Path(shutil.copy(tiny_checkpoint, tmp_path / "model.pth"))


def evaluate(data: Path, weights: Path, folder: Path, batch_size: int = 1, **options) -> bytes:
    """Evaluate with a folder to resume from; return the stored predictions."""
    cfg = training_config(data, folder / "work", **options)
    cfg.test_dataloader.batch_size = batch_size
    cfg.load_from = str(weights)
    cfg.test_cfg = dict(type="GLIPTestLoop", resume_dir=str(folder / "finished"))
    with nothing_left():
        runner = GLIPRunner.from_cfg(cfg)
        runner.test_evaluator.metrics.append(DumpDetResults(folder / "out.pkl"))
        runner.test()
    return (folder / "out.pkl").read_bytes()


def annotations(data: Path) -> Path:
    return data / "coco/annotations/instances_val2017.json"


def change_annotations(data: Path, kind: str) -> None:
    content = json.loads(annotations(data).read_text())
    if kind == "order":
        content["images"].reverse()
    elif kind == "removed":
        del content["images"][0]
    else:
        content["annotations"][0]["bbox"][2] += 1
    annotations(data).write_text(json.dumps(content))


@pytest.mark.parametrize("kind", ["order", "removed", "box"])
def test_changed_annotations(data, weights, tmp_path, kind):
    evaluate(data, weights, tmp_path)
    change_annotations(data, kind)
    with pytest.raises(EvaluationMismatchError, match=r"different content of .*instances_val2017"):
        evaluate(data, weights, tmp_path)


def test_a_replaced_checkpoint(data, weights, tmp_path):
    evaluate(data, weights, tmp_path)
    state = read_checkpoint(weights, mmap=False)["model"]  # in the official format
    name = next(name for name, value in state.items() if value.is_floating_point())
    torch.save({"model": {**state, name: state[name] + 1e-6}}, weights)
    with pytest.raises(EvaluationMismatchError, match="different weights of the checkpoint"):
        evaluate(data, weights, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(model__test_cfg__score_thr=0.3), "model config"),
        (dict(batch_size=2), "batch size"),
    ],
)
def test_a_changed_config(data, weights, tmp_path, options, message):
    evaluate(data, weights, tmp_path)
    with pytest.raises(EvaluationMismatchError, match=f"different {message}"):
        evaluate(data, weights, tmp_path, **options)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_missing_and_damaged_batches(data, weights, tmp_path, batch_size):
    """Whichever batches are left, and wherever the weights are, the result is the same bytes."""
    whole = evaluate(data, weights, tmp_path / "a", batch_size)
    files = sorted((tmp_path / "a/finished").glob("*.pth"))
    for number, path in enumerate(files):
        if number % 3 == 0:
            path.unlink()
        elif number % 3 == 1:
            path.write_bytes(path.read_bytes()[:-50])
    moved = weights.rename(tmp_path / "moved.pth")
    assert evaluate(data, moved, tmp_path / "a", batch_size) == whole
    assert sorted((tmp_path / "a/finished").glob("*.pth")) == files
    assert evaluate(data, moved, tmp_path / "a", batch_size) == whole
