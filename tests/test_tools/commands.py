"""Run the commands of tools/ as a user does, with a model small enough for a test."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from glip.testing import tiny_config

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "glip"

#: What the small model of :func:`glip.testing.tiny_config` takes from a config's model.
PARTS = dict(
    backbone=("embed_dims", "depths", "num_heads", "drop_path_rate"),
    neck=("in_channels", "out_channels"),
    bbox_head=("in_channels", "num_dyhead_blocks", "fusion_dim", "early_fuse"),
    language_model=("name", "config"),
)

_SMALL = """\
_base_ = {base!r}

default_scope = "glip"
model = {model!r}

__pipeline = [
    dict(step, scale=(128, 213)) if step["type"] == "FixScaleResize" else step
    for step in _base_.test_pipeline
]
__dataset = dict(pipeline=__pipeline)
if "datasets" in _base_.test_dataloader.dataset:
    __datasets = _base_.test_dataloader.dataset.datasets
    __dataset = dict(datasets=[dict(each, pipeline=__pipeline) for each in __datasets])
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=__dataset)
"""


def small_config(
    base: Path, folder: Path, vocabulary: str, *, leave: Sequence[str] = (), more: str = ""
) -> Path:
    """Write a config that inherits from another, with a small model on small images.

    Args:
        base: file of the other config.
        folder: folder to write to.
        vocabulary: folder of the tokenizer.
        leave: arguments of the model's parts to keep.
        more: lines to append.
    """
    tiny = tiny_config(lang_model_name=vocabulary).to_dict()["model"]
    model = {
        part: {key: tiny[part][key] for key in keys if key not in leave}
        for part, keys in PARTS.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"small_{base.name}"
    path.write_text(_SMALL.format(base=str(base), model=model) + more)
    return path


def command(*args: str | Path, fails: bool = False, cwd: Path = ROOT, **variables: str) -> str:
    """Run a Python command.

    Args:
        args: arguments of the interpreter; the file is the first.
        fails: whether the command must fail or be killed.
        cwd: working directory; by default the root of the repository.
        variables: environment variables.

    Returns:
        The output, with errors.
    """
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = dict(
        PYTHONPATH=os.pathsep.join(paths),
        CUDA_VISIBLE_DEVICES="",
        # With one thread the numbers of one and of two processes are the same to the last digit.
        OMP_NUM_THREADS="1",
    )
    done = subprocess.run(
        [sys.executable, *map(str, args)],
        cwd=cwd,
        env={**os.environ, **own, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    if (done.returncode != 0) != fails:
        pytest.fail(f"{args} ended with {done.returncode}:\n{done.stdout[-6000:]}")
    return done.stdout


def tool(path: str) -> ModuleType:
    """Import the command of a script in tools/, to call it without a new interpreter."""
    return importlib.import_module("glip.cli." + path.removesuffix(".py").replace("/", "."))


def numbers_of(work_dir: Path) -> dict[str, float]:
    """Read the metrics of the last run of tools/test.py from its working folder."""
    stored = json.loads(max(work_dir.glob("*/*.json")).read_text())
    return {key: value for key, value in stored.items() if "/" in key}
