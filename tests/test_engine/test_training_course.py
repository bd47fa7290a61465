"""Settings without effect are warned of when a training starts."""

from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.engine import GLIPRunner
from glip.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from glip.engine.training_course import check_course
from glip.registry import HOOKS, PARAM_SCHEDULERS
from glip.utils.errors import TrainingError
from tests.training import training_config

SCHEDULED = dict(type="ParamSchedulerHook")
SAVED = dict(type="CheckpointHook", interval=1)
STOP = dict(type="EarlyStoppingHook", monitor="coco/bbox_mAP")
PLATEAU = dict(type="ReduceOnPlateauLR", monitor="coco/bbox_mAP", rule="greater")


def run(*hooks, schedules=(), by_iter=False, validated=True, val_begin=1, done=0) -> dict:
    return dict(
        hooks=hooks or (SAVED, SCHEDULED),
        schedules=schedules,
        by_iter=by_iter,
        validated=validated,
        val_begin=val_begin,
        done=done,
    )


def saved(**options) -> dict:
    return {**SAVED, **options}


#: A training of two epochs of five iterations, and its only warning.
CASES = {
    "nothing": (run(), None),
    "no checkpoint hook": (run(SCHEDULED), "saves no checkpoint"),
    "interval": (run(saved(interval=3, save_last=False)), "saves no checkpoint"),
    "interval, and at the end": (run(saved(interval=3)), None),
    "first checkpoint": (run(saved(save_begin=2, save_last=False)), "saves no checkpoint"),
    "no interval": (run(saved(interval=-1, save_last=False)), "saves no checkpoint"),
    "no optimizer": (run(saved(save_optimizer=False)), "cannot be resumed"),
    "saved by epoch": (run(by_iter=True), "only at its end"),
    "saved by iteration": (run(saved(by_epoch=False), by_iter=True), None),
    "best": (run(saved(save_best="auto"), validated=False), "save_best has no effect"),
    "best, validated": (run(saved(save_best="auto")), None),
    "stopping": (run(SAVED, STOP, validated=False), "EarlyStoppingHook has no effect"),
    "stopping, validated": (run(SAVED, STOP), None),
    "plateau": (run(schedules=[PLATEAU], validated=False), "ReduceOnPlateau"),
    "plateau, validated": (run(schedules=[PLATEAU]), None),
    "validation": (run(val_begin=3), "train_cfg.val_begin is 3, after the last of 2"),
    "warm-up": (
        run(schedules=[dict(type="LinearLR", by_epoch=False, end=11)]),
        "param_scheduler.0 ends after 11 iterations, and this training has 10",
    ),
    "warm-up by epoch": (
        run(schedules=[dict(type="LinearLR", end=2), dict(type="ConstantLR", end=3)]),
        "param_scheduler.1 ends after 3 epochs, and this training has 2",
    ),
    "warm-up that fits": (run(schedules=[dict(type="LinearLR", by_epoch=False, end=10)]), None),
    "no scheduler hook": (run(SAVED, schedules=[dict(type="LinearLR", end=1)]), "is None"),
    "schedule by epoch": (
        run(
            *(saved(by_epoch=False), SCHEDULED),
            schedules=[dict(type="MultiStepLR", milestones=[1])],
            by_iter=True,
        ),
        "param_scheduler.0 has no effect",
    ),
    "finished": (run(saved(save_optimizer=False), done=10), "nothing is left to train"),
}


@pytest.fixture
def check(caplog):
    """Return a function that returns the warnings of a training."""
    logger = logging.getLogger("test_training_course")

    def warnings(options: dict) -> list[str]:
        loop = object.__new__(IterBasedTrainLoop if options["by_iter"] else EpochBasedTrainLoop)
        loop._max_epochs, loop._max_iters, loop.val_begin = 2, 10, options["val_begin"]
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        build = PARAM_SCHEDULERS.build
        with DefaultScope.overwrite_default_scope("glip"):
            runner = SimpleNamespace(
                hooks=[HOOKS.build(copy.deepcopy(each)) for each in options["hooks"]],
                param_schedulers=[
                    build(dict(each), default_args=dict(optimizer=optimizer))
                    for each in options["schedules"]
                ],
                train_loop=loop,
                val_loop=object() if options["validated"] else None,
                logger=logger,
                iter=options["done"],
                max_epochs=1 if options["by_iter"] else 2,
                max_iters=10,
            )
        caplog.clear()
        check_course(runner)
        return [each.getMessage() for each in caplog.records]

    return warnings


@pytest.mark.parametrize("name", CASES)
def test_warning(check, name):
    options, part = CASES[name]
    found = check(options)
    assert len(found) == (part is not None)
    assert part is None or part in found[0]


@pytest.mark.parametrize(("name", "begin"), [("epoch", 2), ("epoch", 7), ("iter", 10)])
def test_average_that_never_begins(check, name, begin):
    options = run(SAVED, SCHEDULED, dict(type="EMAHook", **{f"begin_{name}": begin}))
    with pytest.raises(TrainingError, match=rf"begin_{name} of EMAHook below the \d+ {name}s"):
        check(options)


def test_training_that_starts(examples, tmp_path):
    """A real training checks its course before its first iteration."""
    hooks = [dict(type="EMAHook", begin_epoch=2)]
    cfg = training_config(examples, tmp_path, early_fuse=False, custom_hooks=hooks)
    with pytest.raises(TrainingError, match="begin_epoch of EMAHook"):
        GLIPRunner.from_cfg(cfg).train()
