"""torchrun restarts a run of which one process was killed, and the result is the same bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from glip.engine import last_checkpoint
from tests.test_labeling.generated import CHECKPOINT, draw_shapes, write_pairs
from tests.test_tools.commands import ROOT, command, numbers_of
from tests.test_tools.test_train import KILLED, same, write
from tests.training import draw_examples, training_config

pytestmark = pytest.mark.kills

#: Kills rank 1 once, at the moment that a test names; a restarted process finds the marker.
KILL_ONCE = """
import os
import signal

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


def kill_once(marker):
    if os.environ.get("RANK") == "1" and not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class KillOnceHook(Hook):
    priority = "LOWEST"

    def __init__(self, marker, iteration):
        self.marker = marker
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            kill_once(self.marker)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == self.iteration:
            kill_once(self.marker)
"""
#: Labels, and kills rank 1 once in its second batch.
LABEL = """
import os, sys
sys.path.insert(0, os.environ["KILL_FOLDER"])
from kill_once_hook import kill_once
from glip.labeling import ResumableOutput

commit = ResumableOutput._commit

def kill(self, *args):
    if self.done == 1:
        kill_once(os.environ["MARKER"])
    commit(self, *args)

ResumableOutput._commit = kill
from glip.cli import pseudo_label
pseudo_label.main(sys.argv[1:])
"""
LAUNCH = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


def paths(folder: Path) -> str:
    (folder / "kill_once_hook.py").write_text(KILL_ONCE)
    return os.pathsep.join([str(folder), str(ROOT)])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return draw_examples(tmp_path_factory.mktemp("data") / "examples")


def add_hook(cfg, marker: Path, iteration: int) -> None:
    cfg.custom_imports = dict(imports=["kill_once_hook"])
    hook = dict(type="mmengine.KillOnceHook", marker=str(marker), iteration=iteration)
    cfg.custom_hooks = [*cfg.get("custom_hooks", ()), hook]


def test_training(pictures, tmp_path):
    options = {**KILLED, "default_hooks__checkpoint": dict(by_epoch=False, interval=2)}
    for name in ("whole", "killed"):
        folder = tmp_path / name
        cfg = training_config(pictures, folder / "work", early_fuse=False, **options)
        if name == "killed":
            add_hook(cfg, tmp_path / "marker", 4)
        command(
            *(*LAUNCH, "--max-restarts=1", "tools/train.py", write(cfg, folder)),
            *("--launcher", "pytorch", "--resume"),
            PYTHONPATH=paths(folder),
        )
    assert (tmp_path / "marker").exists()
    assert Path(last_checkpoint(tmp_path / "killed/work")).name == "iter_6.pth"
    same(tmp_path / "whole/work", tmp_path / "killed/work")


def test_evaluation(pictures, tmp_path, tiny_checkpoint):
    for name in ("whole", "killed"):
        folder = tmp_path / name
        cfg = training_config(pictures, folder / "work")
        if name == "killed":
            add_hook(cfg, tmp_path / "marker", 2)
        command(
            *(*LAUNCH, "--max-restarts=1", "tools/test.py", write(cfg, folder), tiny_checkpoint),
            *("--launcher", "pytorch", "--resume-dir", folder / "finished"),
            *("--out", folder / "out.pkl"),
            PYTHONPATH=paths(folder),
        )
    assert (tmp_path / "marker").exists()
    assert (tmp_path / "killed/out.pkl").read_bytes() == (tmp_path / "whole/out.pkl").read_bytes()
    assert numbers_of(tmp_path / "killed/work") == numbers_of(tmp_path / "whole/work")


def test_labeling(tmp_path):
    captions = draw_shapes(tmp_path)
    entries = [dict(filename=each["filename"], caption=each["caption"]) for each in captions]
    pairs = write_pairs(tmp_path / "pairs.jsonl", entries)
    script = tmp_path / "label.py"
    script.write_text(LABEL)
    for name in ("whole", "killed"):
        arguments = (
            *("glip_nano_shapes", CHECKPOINT, pairs, tmp_path / name / "labels.jsonl"),
            *("--images", tmp_path / "images", "--batch-size", "2", "--device", "cpu"),
            *("--num-workers", "1", "--samples", "0"),
        )
        marker = tmp_path / "marker"
        (tmp_path / name).mkdir()
        command(
            *(*LAUNCH, "--max-restarts=1", script, *arguments, "--launcher", "pytorch"),
            PYTHONPATH=paths(tmp_path),
            KILL_FOLDER=str(tmp_path),
            MARKER=str(marker if name == "killed" else tmp_path),
        )
    assert marker.exists()
    for number in (0, 1):
        first, second = (
            (tmp_path / name / f"labels.jsonl.{number}-of-2").read_bytes()
            for name in ("whole", "killed")
        )
        assert first == second
        assert all(json.loads(line) for line in first.splitlines())
