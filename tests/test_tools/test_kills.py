"""Runs that are killed at random moments end with the bytes of an uninterrupted run.

``GLIP_KILL_ROUNDS`` sets the number of rounds, of which each has a seed of its own.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_labeling.generated import CHECKPOINT, draw_shapes, write_pairs
from tests.test_tools.commands import ROOT, command
from tests.test_tools.test_train import KILLED, same, write
from tests.training import draw_examples, training_config

pytestmark = [
    pytest.mark.kills,
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to find worker processes"),
]

ROUNDS = int(os.environ.get("GLIP_KILL_ROUNDS", "1"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
#: Saves after every iteration and keeps two files, so that many kills hit a save or a deletion.
OPTIONS = {
    **KILLED,
    "early_fuse": False,
    "log_level": "WARNING",
    "train_dataloader__num_workers": 1,
    "default_hooks__checkpoint": dict(by_epoch=False, interval=1, max_keep_ckpts=2),
}

Command = Callable[[Path], list]


def kill_at_random(args: list, rng: random.Random, until: float) -> None:
    """Start a command, and kill it or one of its workers within ``until`` seconds."""
    process = subprocess.Popen(
        [sys.executable, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(rng.uniform(0.3, 1) * until)
    if process.poll() is None:
        target = rng.choice([process.pid, *workers_of(process.pid)])
        os.kill(target, rng.choice(SIGNALS))
    try:
        process.wait(60)  # no hang
    finally:
        process.kill()


def workers_of(pid: int) -> list[int]:
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def check(folder: Path, seed: int, make: Command, compare: Callable[[Path, Path], None]) -> None:
    """Compare an uninterrupted run with runs that are killed once to three times."""
    started = time.monotonic()
    command(*make(folder / "whole"))
    duration = time.monotonic() - started
    for number in range(ROUNDS):
        rng = random.Random(1000 * seed + number)
        args = make(folder / str(number))
        for _ in range(rng.choice((1, 2, 3))):
            kill_at_random(args, rng, duration)
        command(*args)
        compare(folder / "whole", folder / str(number))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


def test_training(pictures, tmp_path):
    def make(folder: Path) -> list:
        cfg = training_config(pictures, folder / "work", **OPTIONS)
        return ["tools/train.py", write(cfg, folder), "--resume"]

    def compare(whole: Path, killed: Path) -> None:
        same(whole / "work", killed / "work")
        left = sorted(path.name for path in (killed / "work").glob("*.pth"))
        assert left == ["iter_10.pth", "iter_9.pth"]
        assert not list((killed / "work").glob(".*partial"))

    check(tmp_path, 1, make, compare)


def test_evaluation(pictures, tmp_path, tiny_checkpoint):
    def make(folder: Path) -> list:
        file = write(training_config(pictures, folder / "work"), folder)
        options = ("--resume-dir", folder / "finished", "--out", folder / "out.pkl")
        return ["tools/test.py", file, tiny_checkpoint, *options]

    def compare(whole: Path, killed: Path) -> None:
        assert (killed / "out.pkl").read_bytes() == (whole / "out.pkl").read_bytes()
        assert not list((killed / "finished").glob(".*"))

    check(tmp_path, 2, make, compare)


def test_labeling(tmp_path):
    captions = draw_shapes(tmp_path)
    entries = [dict(filename=each["filename"], caption=each["caption"]) for each in captions]
    pairs = write_pairs(tmp_path / "pairs.jsonl", entries)

    def make(folder: Path) -> list:
        return [
            *("tools/pseudo_label.py", "glip_nano_shapes", CHECKPOINT, pairs, folder / "l.jsonl"),
            *("--images", tmp_path / "images", "--batch-size", "1", "--device", "cpu"),
            *("--num-workers", "1", "--samples", "0"),
        ]

    def compare(whole: Path, killed: Path) -> None:
        for name in ("l.jsonl", "l.jsonl.left_out.jsonl"):
            assert (killed / name).read_bytes() == (whole / name).read_bytes()

    check(tmp_path, 3, make, compare)
