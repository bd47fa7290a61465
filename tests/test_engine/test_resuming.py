"""What a resumed training says about damaged checkpoints and changed settings."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch

from glip.checkpoint import read_checkpoint
from glip.engine import GLIPRunner, last_checkpoint
from glip.engine.resuming import describe_differences, flatten_settings, read_training_checkpoint
from glip.engine.training_state import check_state
from glip.utils.errors import CheckpointError, GLIPError
from tests.test_tools.training import nothing_left
from tests.training import NO_VALIDATION, training_config

OPTIONS = dict(
    early_fuse=False,
    train_cfg__max_epochs=1,
    default_hooks__checkpoint=dict(by_epoch=False, interval=2),
    custom_hooks=[dict(type="EMAHook", momentum=0.1)],
    **NO_VALIDATION,
)


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory) -> Path:
    """The folder of a training of five iterations, with iter_2, iter_4 and iter_5."""
    folder = tmp_path_factory.mktemp("trained")
    with nothing_left():
        GLIPRunner.from_cfg(training_config(examples, folder, **OPTIONS)).train()
    return folder


@pytest.fixture
def copied(trained, tmp_path) -> Path:
    """A copy that a test may damage."""
    folder = tmp_path / "copied"
    shutil.copytree(trained, folder)
    return folder


def resume(examples: Path, folder: Path, **options) -> str:
    """Resume a training; return its log."""
    cfg = training_config(examples, folder, **{**OPTIONS, **options}, resume=True)
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    return next(Path(runner.log_dir).glob("*.log")).read_text()


IGNORED = "is ignored; the checkpoint's is used"
CHANGES = "changes the result"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, []),
        (dict(log_level="INFO", train_dataloader__num_workers=1), []),
        (
            dict(optim_wrapper__optimizer__lr=0.5),
            [f"optim_wrapper.optimizer.lr: 0.001 then, 0.5 now, which {IGNORED}"],
        ),
        (
            dict(optim_wrapper__optimizer__weight_decay=0.0, optim_wrapper__clip_grad=None),
            [
                f"optim_wrapper.clip_grad: not set then, None now, which {CHANGES}",
                f"optim_wrapper.optimizer.weight_decay: 0.05 then, 0.0 now, which {IGNORED}",
            ],
        ),
        (
            dict(train_dataloader__batch_size=1),
            [f"train_dataloader.batch_size: 2 then, 1 now, which {CHANGES}"],
        ),
        (
            dict(train_cfg__max_epochs=2),
            [f"train_cfg.max_epochs: 1 then, 2 now, which {CHANGES}"],
        ),
        (
            dict(custom_hooks=[dict(type="EMAHook", momentum=0.2)]),
            [f"custom_hooks.0.momentum: 0.1 then, 0.2 now, which {CHANGES}"],
        ),
        (
            dict(param_scheduler=[dict(type="MultiStepLR", milestones=[1, 2], by_epoch=True)]),
            [f"param_scheduler.0.type: 'LinearLR' then, 'MultiStepLR' now, which {IGNORED}"],
        ),
        (
            dict(model__backbone__drop_path_rate=0.7),
            [f"now, which {CHANGES}"],
        ),
    ],
)
def test_differing_settings(examples, trained, tmp_path, options, lines):
    then = read_training_checkpoint(last_checkpoint(trained))["meta"]["cfg"]
    now = training_config(examples, tmp_path, **{**OPTIONS, **options}, resume=True).pretty_text
    found = describe_differences(flatten_settings(then), flatten_settings(now))
    assert len(found) >= len(lines)
    assert bool(found) == bool(lines)
    for line in lines:
        assert any(each.endswith(line) for each in found), found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "raise SystemExit",
        "a = (",
        "\0",
        "(" * 5000,
        "a = " + "-" * 100_000 + "1",
        5,
        None,
        b"a",
    ],
)
def test_settings_that_are_no_config(text):
    assert flatten_settings(text) == {}


def test_the_warning(examples, copied, tmp_path, monkeypatch):
    """One line for each, with the annotations and the number of processes."""
    data = tmp_path / "examples"
    shutil.copytree(examples, data)
    path = data / "coco/annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][0] += 1
    path.write_text(json.dumps(content))
    last = last_checkpoint(copied)
    checkpoint = dict(read_checkpoint(last, mmap=False))
    checkpoint["meta"] = {**checkpoint["meta"], "num_processes": 4}
    torch.save(checkpoint, last)
    log = resume(data, copied, optim_wrapper__optimizer__lr=0.5)
    assert "settings differ from those that it was saved with" in log
    assert "optim_wrapper.optimizer.lr: 0.001 then, 0.5 now, which is ignored" in log
    assert "the content of annotations/instances_val2017.json has changed" in log
    assert "number of processes: 4 then, 1 now, which changes the result" in log


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe\x00",
        b"\0" * 10,
        b"x" * 100_000,
        b"gone.pth",
        b"/",
        b"a\nb",
        b"." * 300,
    ],
)
def test_damaged_pointer(copied, content):
    (copied / "last_checkpoint").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"resume from .*iter_5\.pth with --resume") as caught:
        last_checkpoint(copied)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_a_copied_folder_resumes_from_its_own_checkpoint(trained, copied):
    assert Path(last_checkpoint(copied)).parent == copied
    assert str(trained) in (copied / "last_checkpoint").read_text()


@pytest.mark.parametrize("size", [0, 1, 100, 0.5, 0.99])
def test_truncated_newest(examples, copied, size):
    """The newest complete checkpoint is named, and the command that resumes from it."""
    last = copied / "iter_5.pth"
    content = last.read_bytes()
    last.write_bytes(content[: int(size * len(content)) if isinstance(size, float) else size])
    with pytest.raises(
        CheckpointError,
        match=r"iter_5\.pth cannot be read; .* resume from it with --resume .*iter_4\.pth",
    ):
        resume(examples, copied)


def change(checkpoint: dict, where: str, value: object) -> None:
    *path, name = [int(each) if each.isdecimal() else each for each in where.split(".")]
    for key in path:
        checkpoint[key] = copy.copy(checkpoint[key])
        checkpoint = checkpoint[key]
    checkpoint[name] = value


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("meta.iter", "x"),
        ("meta.iter", -1),
        ("meta.iter", 1.5),
        ("meta.epoch", None),
        ("meta.epoch", True),
        ("meta.batches_done", "2"),
        ("meta.seed", -4),
        ("meta.seed", "seed"),
        ("optimizer", []),
        ("optimizer", {}),
        ("optimizer.param_groups", []),
        ("optimizer.param_groups", [{"lr": 1.0, "params": [0, 1]}]),
        ("optimizer.state", 5),
        ("message_hub", None),
        ("message_hub", {}),
        ("message_hub.runtime_info", []),
        ("message_hub.runtime_info.keep_ckpt_ids", "../../x"),
        ("message_hub.runtime_info.keep_ckpt_ids", ["../x"]),
        ("param_schedulers", 4),
        ("param_schedulers", [1, 2]),
        ("param_schedulers", [{}]),
        ("optimizer.state.0.exp_avg", torch.ones(7)),
        ("optimizer.state.0.exp_avg_sq", [1]),
        ("gradients", {"foo": torch.ones(3)}),
        ("gradients", {"bbox_head.bbox_pred.weight": torch.ones(3)}),
        ("ema_state_dict", 1),
        ("ema_state_dict", {"module.bbox_head.bbox_pred.weight": torch.ones(2)}),
        ("ema_state_dict", {}),
    ],
)
def test_damaged_state(examples, copied, where, value):
    checkpoint = dict(read_checkpoint(copied / "iter_5.pth", mmap=False))
    change(checkpoint, where, value)
    torch.save(checkpoint, copied / "iter_5.pth")
    with pytest.raises(GLIPError, match=r"iter_5\.pth") as caught:
        resume(examples, copied)
    message = str(caught.value)
    assert len(message) < 600
    assert "\n" not in message
    assert "--load-from" in message


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("meta.iter", 10**18),
        ("meta.epoch", 10**18),
        ("meta.batches_done", 10**8),
        ("message_hub.log_scalars", "x"),
        ("optimizer.param_groups.0.lr", "x"),
        ("optimizer.param_groups.0.lr", -1.0),
        ("optimizer.param_groups.0.weight_decay", float("nan")),
        ("optimizer.state", {}),
        ("optimizer.state.0", 5),
        ("optimizer.state.0.step", "x"),
        ("optimizer.state.0.step", torch.tensor(-5.0)),
        ("optimizer.state.0.exp_avg", torch.tensor(float("nan"))),
        ("param_schedulers.0.last_step", "x"),
        ("param_schedulers.0.last_step", -50),
        ("param_schedulers.0.base_values", []),
        ("param_schedulers.0.base_values", [float("inf")]),
    ],
)
def test_damaged_values(trained, where, value):
    """Each would change the training without a word, or end it late."""
    checkpoint = dict(read_checkpoint(trained / "iter_5.pth", mmap=False))
    check_state(checkpoint, "a.pth")
    change(checkpoint, where, value)
    with pytest.raises(CheckpointError, match=r"a\.pth has an invalid training state: expected"):
        check_state(checkpoint, "a.pth")


@pytest.mark.parametrize(
    "changes",
    [
        {"param_schedulers.0.last_step": -1},  # ReduceOnPlateau before the first validation
        {"optimizer.state": {}, "gradients": {"a": torch.ones(1)}},  # still accumulated
        {"optimizer.state": {}, "optimizer.loss_scaler": {"scale": 1.0}},  # its steps were skipped
    ],
)
def test_states_before_the_first_step(trained, changes):
    checkpoint = dict(read_checkpoint(trained / "iter_5.pth", mmap=False))
    for where, value in changes.items():
        change(checkpoint, where, value)
    check_state(checkpoint, "a.pth")


def test_schedules_without_state(examples, copied, caplog):
    checkpoint = dict(read_checkpoint(copied / "iter_2.pth", mmap=False))
    del checkpoint["param_schedulers"]
    torch.save(checkpoint, copied / "iter_2.pth")
    cfg = training_config(examples, copied, **OPTIONS, resume=True)
    cfg.load_from = str(copied / "iter_2.pth")
    runner = GLIPRunner.from_cfg(cfg)
    runner.logger.addHandler(caplog.handler)
    runner.train()
    assert "has no state of param_scheduler, whose schedules begin anew" in caplog.text


def test_another_optimizer(examples, copied):
    cfg = training_config(examples, copied, **OPTIONS, resume=True)
    cfg.load_from = str(copied / "iter_2.pth")
    cfg.optim_wrapper.optimizer = dict(type="SGD", lr=0.1)
    with pytest.raises(CheckpointError, match="options to be those of SGD, with momentum"):
        GLIPRunner.from_cfg(cfg).train()
