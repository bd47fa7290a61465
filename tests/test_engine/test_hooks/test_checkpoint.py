"""Checkpoints are written atomically, the last one always exists, and all are readable."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.registry import METRICS, PARAM_SCHEDULERS

from glip.apis import inference_detector, init_detector, load_config
from glip.checkpoint import read_checkpoint
from glip.engine import CheckpointHook, GLIPRunner, last_checkpoint
from glip.engine.checkpoint_runner import _shipped_config_name
from glip.engine.hooks.checkpoint import log_no_checkpoint
from glip.utils.errors import CheckpointError, TrainingError
from tests.test_tools.training import nothing_left
from tests.training import NO_VALIDATION, differences, training_config

SHORT = dict(early_fuse=False, train_cfg__max_epochs=1, **NO_VALIDATION)


@METRICS.register_module(force=True)
class Counting(BaseMetric):
    """A metric that increases with each validation."""

    seen = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        Counting.seen += 1
        return {"count": float(Counting.seen)}


def saving_fails(monkeypatch, after: int, at: str = "epoch") -> None:
    """Write only half of a checkpoint, from the ``after``-th file on."""
    original = LocalBackend.put
    seen = []

    def put(self, obj, filepath):
        if at in Path(filepath).name:
            seen.append(filepath)
        if len(seen) >= after:
            with open(filepath, "wb") as file:
                file.write(obj[: len(obj) // 2])
            raise OSError("no space left on the device")
        original(self, obj, filepath)

    monkeypatch.setattr(LocalBackend, "put", put)


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory) -> Path:
    """Return the work directory of a training of one epoch."""
    folder = tmp_path_factory.mktemp("trained")
    cfg = training_config(examples, folder, **SHORT)
    with nothing_left():
        GLIPRunner.from_cfg(cfg).train()
    cfg.dump(folder / "config.py")
    return folder


def test_a_failed_save_keeps_the_only_checkpoint(examples, tmp_path, monkeypatch):
    saving_fails(monkeypatch, after=2)
    cfg = training_config(
        examples,
        tmp_path,
        early_fuse=False,
        default_hooks__checkpoint=dict(interval=1, max_keep_ckpts=1),
        **NO_VALIDATION,
    )
    with pytest.raises(OSError, match="no space left"):
        GLIPRunner.from_cfg(cfg).train()
    assert [path.name for path in tmp_path.glob("*epoch*")] == ["epoch_1.pth"]
    assert last_checkpoint(tmp_path) == str(tmp_path / "epoch_1.pth")
    monkeypatch.undo()
    (tmp_path / ".epoch_9.pth.partial").write_bytes(b"what a kill leaves")
    cfg.resume = True
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 2
    # Partial files are deleted, and so is the outdated checkpoint.
    assert [path.name for path in sorted(tmp_path.iterdir()) if "epoch" in path.name] == [
        "epoch_2.pth"
    ]


def test_previous_best_is_kept_until_the_new_one_is_saved(examples, tmp_path, monkeypatch):
    saving_fails(monkeypatch, after=2, at="best_")
    cfg = training_config(
        examples,
        tmp_path,
        early_fuse=False,
        # Every validation is the best so far.
        default_hooks__checkpoint=dict(interval=1, save_best="count", rule="greater"),
        val_evaluator=dict(type="mmengine.Counting", _delete_=True),
    )
    with pytest.raises(OSError, match="no space left"):
        GLIPRunner.from_cfg(cfg).train()
    assert [path.name for path in tmp_path.glob("best*.pth")] == ["best_count_epoch_1.pth"]
    read_checkpoint(tmp_path / "best_count_epoch_1.pth")
    monkeypatch.undo()
    cfg.resume = True
    GLIPRunner.from_cfg(cfg).train()
    assert [path.name for path in tmp_path.glob("best*.pth")] == ["best_count_epoch_2.pth"]


def test_meta(trained):
    checkpoint = read_checkpoint(trained / "epoch_1.pth")
    meta = checkpoint["meta"]
    assert (meta["format"], meta["config"], meta["epoch"], meta["iter"]) == ("glip", "", 1, 5)
    assert meta["seed"] == 3
    assert checkpoint["state_dict"]["language_model._extra_state"].numel() > 100_000
    assert {"optimizer", "param_schedulers", "message_hub"} <= checkpoint.keys()


@pytest.mark.parametrize("change", [{}, {"model.bbox_head.num_dyhead_blocks": 2}])
def test_name_of_the_config(change):
    """The name of a shipped config, unless its model was changed."""
    name = "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"
    cfg = load_config(name, {"lang_model_name": "some/folder", **change})
    assert _shipped_config_name(cfg) == ("" if change else name)


def test_it_detects_without_the_tokenizer(trained, photo, tmp_path):
    """As image_demo.py uses it: the vocabulary is in the file."""
    options = {
        "lang_model_name": str(tmp_path / "no such folder"),
        "model.test_cfg.score_thr": 0.0,
    }
    model = init_detector(
        str(trained / "config.py"), trained / "epoch_1.pth", device="cpu", cfg_options=options
    )
    found = inference_detector(model, str(photo), text_prompt="bench . car .", custom_entities=True)
    assert len(found.pred_instances.bboxes)


def test_last_checkpoint(trained, tmp_path):
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "last_checkpoint").write_text("gone/epoch_7.pth")
    with pytest.raises(
        CheckpointError, match=r"names gone/epoch_7.pth .* delete .* to start from the beginning"
    ):
        last_checkpoint(tmp_path)
    # The folder was moved: the checkpoint is beside the file that names it.
    (tmp_path / "epoch_7.pth").write_bytes(b"")
    assert last_checkpoint(tmp_path) == str(tmp_path / "epoch_7.pth")
    assert Path(last_checkpoint(trained)) == trained / "epoch_1.pth"


def test_best_by_an_unknown_metric(examples, tmp_path):
    cfg = training_config(
        examples,
        tmp_path,
        early_fuse=False,
        default_hooks__checkpoint=dict(interval=1, save_best="coco/AP", rule="greater"),
    )
    with pytest.raises(
        TrainingError, match=r"save_best='coco/AP' .* expected one of coco/bbox_mAP"
    ):
        GLIPRunner.from_cfg(cfg).train()
    assert last_checkpoint(tmp_path) == str(tmp_path / "epoch_1.pth")


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return (os.system, ("touch run_by_a_pickle",))


@pytest.mark.parametrize("where", ["meta", "optimizer"])
def test_a_checkpoint_that_contains_code_is_not_resumed(trained, examples, tmp_path, where):
    checkpoint = dict(read_checkpoint(trained / "epoch_1.pth"))
    checkpoint[where] = {**checkpoint[where], "extra": Evil()}
    torch.save(checkpoint, tmp_path / "evil.pth")
    cfg = training_config(examples, tmp_path, **SHORT)
    cfg.resume, cfg.load_from = True, str(tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="could run code: it names"):
        GLIPRunner.from_cfg(cfg).train()


def test_the_name_of_a_config_is_not_run(trained, examples, tmp_path):
    """mmengine would run ``meta['config']`` as a config."""
    checkpoint = dict(read_checkpoint(trained / "epoch_1.pth"))
    checkpoint["meta"] = {**checkpoint["meta"], "config": "raise SystemExit('it was run')"}
    torch.save(checkpoint, tmp_path / "named.pth")
    cfg = training_config(examples, tmp_path, **SHORT)
    cfg.resume, cfg.load_from = True, str(tmp_path / "named.pth")
    cfg.train_cfg.max_epochs = 2
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 10


#: Every parameter scheduler with its required arguments.
SCHEDULES = dict(
    ConstantLR=dict(),
    CosineAnnealingLR=dict(T_max=5),
    CosineRestartLR=dict(periods=[5], restart_weights=[1.0], eta_min=0.0),
    ExponentialLR=dict(gamma=0.9),
    LinearLR=dict(),
    MultiStepLR=dict(milestones=[2, 4]),
    OneCycleLR=dict(eta_max=0.1, total_steps=5),
    PolyLR=dict(eta_min=0.0),
    ReduceOnPlateauLR=dict(monitor="loss", rule="less"),
    StepLR=dict(step_size=2),
)


@pytest.mark.parametrize("old_torch", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_can_be_read(tmp_path, monkeypatch, schedule, old_torch):
    """Also by the reader of torch before 2.6, which accepts fewer names."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.1)
    built = PARAM_SCHEDULERS.build(dict(type=schedule, optimizer=optimizer, **SCHEDULES[schedule]))
    optimizer.step()
    built.step() if schedule != "ReduceOnPlateauLR" else built.step({"loss": 1.0})
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    hub = dict(loss=history, runtime_info=dict(size=np.float64(3.0), path=tmp_path))
    saved = dict(meta=dict(), param_schedulers=[built.state_dict()], message_hub=hub)
    CheckpointHook().before_save_checkpoint(None, saved)
    torch.save(saved, tmp_path / "state.pth")
    if old_torch:
        monkeypatch.setattr(torch, "__version__", "2.1.0")
    found = read_checkpoint(tmp_path / "state.pth")
    assert differences(saved["param_schedulers"], found["param_schedulers"]) == []
    assert found["message_hub"]["loss"].current() == 2.0
    assert found["message_hub"]["runtime_info"] == dict(size=3.0, path=str(tmp_path))
    again = PARAM_SCHEDULERS.build(dict(type=schedule, optimizer=optimizer, **SCHEDULES[schedule]))
    again.load_state_dict(found["param_schedulers"][0])
    if schedule != "ReduceOnPlateauLR":
        again.step()  # with the functions that it created itself
    assert again.state_dict().keys() == built.state_dict().keys()


class Unreadable(Hook):
    """Saves an object that the restricted reader refuses."""

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint["mine"] = Evil()


def test_an_unreadable_checkpoint_is_reported_at_once(examples, tmp_path):
    runner = GLIPRunner.from_cfg(training_config(examples, tmp_path, **SHORT))
    runner.register_hook(Unreadable())
    runner.train()
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert "--resume will fail for this training" in log


class KilledError(BaseException):
    """Ends a training, as a kill would."""


@pytest.mark.slow
@pytest.mark.parametrize("keep", [1, 2])
def test_rotation_is_repaired_after_a_kill(examples, tmp_path, monkeypatch, keep):
    """Killed after a save, before the checkpoint that it makes obsolete is deleted."""
    cfg = training_config(
        examples,
        tmp_path / "work",
        early_fuse=False,
        default_hooks__checkpoint=dict(by_epoch=False, interval=2, max_keep_ckpts=keep),
        **NO_VALIDATION,
    )

    def kill(*args):
        raise KilledError

    monkeypatch.setattr(CheckpointHook, "_delete", kill)
    with pytest.raises(KilledError), nothing_left():
        GLIPRunner.from_cfg(cfg).train()
    monkeypatch.undo()
    steps = [2, 4, 6][: keep + 1]
    names = lambda: sorted(path.name for path in (tmp_path / "work").glob("*.pth"))  # noqa: E731
    assert names() == [f"iter_{step}.pth" for step in steps]
    mine = tmp_path / "work" / "epoch_1.pth"
    mine.write_bytes(b"not of this training")
    (tmp_path / "work" / ".last_checkpoint.partial").write_bytes(b"half")
    cfg.resume = True
    with nothing_left():
        runner = GLIPRunner.from_cfg(cfg)
        runner.train()
    assert mine.exists()
    mine.unlink()
    assert set(names()) == {f"iter_{step}.pth" for step in (10, 8)[:keep]}
    assert not list((tmp_path / "work").glob(".*partial"))


@pytest.mark.slow
def test_a_copied_folder_does_not_delete_from_the_original(examples, tmp_path):
    def make(name: str, epochs: int) -> Config:
        return training_config(
            examples,
            tmp_path / name,
            early_fuse=False,
            default_hooks__checkpoint=dict(interval=1, save_best="count", rule="greater"),
            val_evaluator=dict(type="mmengine.Counting", _delete_=True),
            train_cfg__max_epochs=epochs,
        )

    with nothing_left():
        GLIPRunner.from_cfg(make("one", 1)).train()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    before = sorted(path.name for path in (tmp_path / "one").glob("*.pth"))
    with nothing_left():
        cfg = make("two", 2)
        cfg.resume = True
        GLIPRunner.from_cfg(cfg).train()
    assert sorted(path.name for path in (tmp_path / "one").glob("*.pth")) == before
    assert [path.name for path in (tmp_path / "two").glob("best*")] == ["best_count_epoch_2.pth"]


class Diverge(Hook):
    """Makes a weight non-finite in the last step of the training, whose loss was finite."""

    priority = "VERY_LOW"

    def __init__(self, value: float):
        self.value = value

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == runner.max_iters - 1:
            next(runner.model.parameters()).data.view(-1)[0] = self.value


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_not_saved(examples, tmp_path, value):
    cfg = training_config(examples, tmp_path, default_hooks__checkpoint=dict(interval=1), **SHORT)
    runner = GLIPRunner.from_cfg(cfg)
    runner.register_hook(Diverge(value))
    with pytest.raises(TrainingError, match=r"not finite any more \(.*\), and epoch_1.pth is not"):
        runner.train()
    assert not list(tmp_path.glob("*.pth"))


def test_published_checkpoint(trained, tmp_path):
    """Only the parts to publish; read without unpickling objects, whatever torch does."""
    shutil.copy(trained / "epoch_1.pth", tmp_path)
    hook = CheckpointHook(published_keys=["state_dict", "meta"])
    hook.last_ckpt = str(tmp_path / "epoch_1.pth")
    hook.after_train(GLIPRunner.from_cfg(Config.fromfile(trained / "config.py")))
    (published,) = tmp_path.glob("epoch_1-????????.pth")
    assert read_checkpoint(published).keys() == {"state_dict", "meta"}
    whole = read_checkpoint(tmp_path / "epoch_1.pth")
    assert not differences(read_checkpoint(published)["state_dict"], whole["state_dict"])


def test_folder_without_the_name_of_its_last_checkpoint(trained, tmp_path, caplog):
    """The training would start from the beginning, and replace the checkpoints."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    log_no_checkpoint(tmp_path)
    shutil.copy(trained / "epoch_1.pth", tmp_path)
    log_no_checkpoint(tmp_path)
    logger.removeHandler(caplog.handler)
    first, second = caplog.records
    assert (first.levelname, second.levelname) == ("INFO", "WARNING")
    assert f"--resume {tmp_path / 'epoch_1.pth'}" in second.getMessage()
