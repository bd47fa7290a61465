"""A resumed training ends with the same bits as an uninterrupted one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from glip.checkpoint import read_checkpoint
from glip.engine import GLIPRunner, last_checkpoint
from glip.utils.errors import CheckpointError, TrainingError
from tests.training import CLASSES, NO_VALIDATION, differences, training_config


class InterruptedHereError(Exception):
    """Simulates a kill."""


class Interrupt(Hook):
    """Interrupts before an iteration, or in the validation after an iteration."""

    priority = "LOWEST"

    def __init__(self, iteration=None, validation=None):
        self.iteration = iteration
        self.validation = validation

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.iteration:
            raise InterruptedHereError

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.validation:
            raise InterruptedHereError


def run(cfg: Config, **interrupt: int) -> GLIPRunner:
    """Train, up to ``interrupt`` if given."""
    runner = GLIPRunner.from_cfg(cfg)
    if not interrupt:
        runner.train()
        return runner
    runner.register_hook(Interrupt(**interrupt))
    with pytest.raises(InterruptedHereError):
        runner.train()
    return runner


def both(examples: Path, tmp_path: Path, interrupt: dict, **options) -> tuple[dict, dict]:
    """Return the last checkpoints of an uninterrupted training and of the same one resumed."""
    make = lambda name, **more: training_config(  # noqa: E731
        examples, tmp_path / name, early_fuse=False, **options, **more
    )
    run(make("full"))
    run(make("parts"), **interrupt)
    last = last_checkpoint(tmp_path / "parts")
    run(make("parts", resume=True))
    assert last_checkpoint(tmp_path / "parts") != last
    return tuple(read_checkpoint(last_checkpoint(tmp_path / name)) for name in ("full", "parts"))


def check(full: dict, parts: dict, *more: str) -> None:
    names = ("state_dict", "optimizer", "param_schedulers", *more)
    for name in names:
        assert differences(full[name], parts[name], name) == []
    assert full["meta"]["iter"] == parts["meta"]["iter"]


BY_ITERATION = dict(default_hooks__checkpoint=dict(by_epoch=False, interval=3))
SHORT = dict(early_fuse=False, train_cfg__max_epochs=1, **NO_VALIDATION, **BY_ITERATION)


@pytest.mark.parametrize(
    "loop",
    [
        dict(type="EpochBasedTrainLoop", max_epochs=1),
        dict(type="IterBasedTrainLoop", max_iters=1),
    ],
)
@pytest.mark.parametrize(("name", "warned"), [("雨傘 ☂", True), ("parasol ☂", False)])
def test_class_names_that_are_only_unknown_tokens(
    examples, tmp_path, caplog, monkeypatch, loop, name, warned
):
    """The model cannot tell them from each other, which nothing else would say."""
    monkeypatch.setattr(logging.getLogger("glip"), "propagate", True)
    names = [*CLASSES[:-1], name]
    content = json.loads((examples / "coco/annotations/instances_val2017.json").read_text())
    for category in content["categories"]:
        category["name"] = category["name"].replace(CLASSES[-1], name)
    (tmp_path / "renamed.json").write_text(json.dumps(content))
    cfg = training_config(
        examples, tmp_path / "run", early_fuse=False, train_cfg=loop, **NO_VALIDATION
    )
    dataset = cfg.train_dataloader.dataset
    dataset.update(ann_file=str(tmp_path / "renamed.json"), metainfo=dict(classes=names))
    dataset.indices = 2
    cfg.default_hooks.checkpoint = None
    run(cfg)
    said = [each.getMessage() for each in caplog.records if "[UNK]" in each.getMessage()]
    assert len(said) == warned
    if warned:
        assert said[0].startswith("1 of 5 phrases have no word that the tokenizer knows")
        assert repr(name) in said[0]


def test_in_the_middle_of_an_epoch(examples, tmp_path):
    """Saved after 6 of 10 iterations, interrupted in the 8th."""
    check(*both(examples, tmp_path, dict(iteration=7), **BY_ITERATION))


@pytest.mark.slow
def test_iterations(examples, tmp_path):
    """Over the end of the data, with loading processes, and validations in between."""
    options = dict(
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=8, val_interval=4),
        train_dataloader__num_workers=1,
        log_processor__by_epoch=False,
        param_scheduler=[dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=8)],
    )
    check(*both(examples, tmp_path, dict(iteration=7), **options, **BY_ITERATION))


def test_between_accumulated_gradients(examples, tmp_path):
    """The checkpoint is saved after the first of two batches that accumulate gradients."""
    full, parts = both(
        examples,
        tmp_path,
        dict(iteration=4),
        optim_wrapper__accumulative_counts=2,
        train_cfg__max_epochs=1,
        **NO_VALIDATION,
        **BY_ITERATION,
    )
    check(full, parts)
    assert "gradients" in read_checkpoint(tmp_path / "parts" / "iter_3.pth")
    assert "gradients" not in parts  # the last step is taken with what has accumulated


@pytest.mark.slow
def test_weight_averaging(examples, tmp_path):
    full, parts = both(
        examples,
        tmp_path,
        dict(iteration=7),
        custom_hooks=[dict(type="EMAHook", momentum=0.1)],
        **BY_ITERATION,
    )
    check(full, parts, "ema_state_dict")
    assert differences(full["state_dict"], full["ema_state_dict"])


@pytest.mark.slow
@pytest.mark.parametrize("where", [dict(validation=5), dict(iteration=6)])
def test_interrupted_validation_is_repeated(examples, tmp_path, where):
    """The best checkpoint, early stopping and the learning rate follow from it as usual."""
    full, parts = both(
        examples,
        tmp_path,
        where,
        custom_hooks=[
            dict(type="EarlyStoppingHook", monitor="coco/bbox_mAP", min_delta=0.5, patience=9)
        ],
        default_hooks__checkpoint=dict(interval=1, save_best="coco/bbox_AR@100", rule="greater"),
        param_scheduler=[dict(type="ReduceOnPlateauLR", monitor="coco/bbox_AR@100", patience=1)],
        train_cfg__max_epochs=3,
    )
    check(full, parts)
    infos = [each["message_hub"]["runtime_info"] for each in (full, parts)]
    assert infos[0]["best_score"] == infos[1]["best_score"]
    assert infos[0]["early_stopping"] == infos[1]["early_stopping"]
    assert infos[0]["early_stopping"]["coco/bbox_mAP"][1] >= 1


def test_no_seed(examples, tmp_path):
    """The resumed training uses the random seed of the checkpoint."""
    options = dict(randomness=dict(), **SHORT)
    first = run(training_config(examples, tmp_path, **options), iteration=4)
    second = run(training_config(examples, tmp_path, resume=True, **options))
    assert second.seed == first.seed
    samplers = [each.train_dataloader.batch_sampler.sampler for each in (first, second)]
    assert list(samplers[0]) == list(samplers[1])


def test_other_batches(examples, tmp_path):
    """With another batch size, the position within the epoch has no meaning."""
    options = SHORT
    run(training_config(examples, tmp_path, **options), iteration=4)
    runner = run(
        training_config(examples, tmp_path, resume=True, train_dataloader__batch_size=5, **options)
    )
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert "after 3 of 5 batches of an epoch, which now has 2: the epoch restarts" in log
    assert runner.iter == 3 + 2


def test_nothing_to_resume(examples, tmp_path):
    cfg = training_config(examples, tmp_path, resume=True, **SHORT)
    assert run(cfg).iter == 5  # it starts from the beginning
    weights = tmp_path / "weights.pth"
    checkpoint = read_checkpoint(tmp_path / "iter_3.pth")
    torch.save({"state_dict": dict(checkpoint["state_dict"])}, weights)
    cfg = training_config(examples, tmp_path / "other", early_fuse=False)
    cfg.resume, cfg.load_from = True, str(weights)
    with pytest.raises(CheckpointError, match=r"weights but no training state .* --load-from"):
        GLIPRunner.from_cfg(cfg).train()


def test_by_epoch_chooses_the_loop(examples, tmp_path):
    for by_epoch, name in ((True, "EpochBasedTrainLoop"), (False, "IterBasedTrainLoop")):
        length = dict(max_epochs=1) if by_epoch else dict(max_iters=1)
        cfg = training_config(
            examples, tmp_path, early_fuse=False, train_cfg=dict(by_epoch=by_epoch, **length)
        )
        loop = GLIPRunner.from_cfg(cfg).build_train_loop(cfg.train_cfg)
        assert type(loop).__name__ == name
        assert type(loop).__module__ == "glip.engine.loops"


def test_no_batch(examples, tmp_path):
    cfg = training_config(examples, tmp_path, early_fuse=False, train_dataloader__drop_last=True)
    cfg.train_dataloader.batch_size = 10
    with pytest.raises(TrainingError, match="do not fill one batch"):
        GLIPRunner.from_cfg(cfg).train()
