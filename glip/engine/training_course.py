"""Settings of a training that cannot have an effect, because what they wait for never happens.

Checked when the training starts: only then is it known how many iterations it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, ParamSchedulerHook
from mmengine.optim.scheduler import ConstantParamScheduler, LinearParamScheduler
from mmengine.optim.scheduler.param_scheduler import INF
from mmengine.runner import IterBasedTrainLoop, Runner

from glip.utils.errors import TrainingError


def check_course(runner: Runner) -> None:
    """Warn of settings without effect.

    Args:
        runner: its train loop is built, and about to start.

    Raises:
        TrainingError: the average of weights begins after the training, so that it would be the
            weights that the training began with.
    """
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            _check_averaging(hook, runner)
    if 0 < runner.max_iters <= runner.iter:
        runner.logger.warning(
            f"the checkpoint was saved after all {runner.max_iters} iterations, so that nothing is "
            "left to train: raise train_cfg.max_epochs or max_iters to train on"
        )
        return
    for text in [*_of_checkpoints(runner), *_of_validation(runner), *_of_schedules(runner)]:
        runner.logger.warning(text)


def _check_averaging(hook: EMAHook, runner: Runner) -> None:
    for name in ("epoch", "iter"):
        begin, end = getattr(hook, f"begin_{name}"), getattr(runner, f"max_{name}s")
        if begin and begin >= end:
            raise TrainingError(
                f"expected begin_{name} of EMAHook below the {end} {name}s of this training, got "
                f"{begin}: the averaged weights would be those that the training begins with"
            )


def _of_checkpoints(runner: Runner) -> Iterator[str]:
    """Yield warnings of checkpoints that are not saved, or only once."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    if not any(_saves(hook, runner) for hook in hooks):
        yield (
            "this training saves no checkpoint: set default_hooks.checkpoint with an interval "
            "within the training, or with save_last=True"
        )
    for hook in hooks:
        if hook.by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
            yield (
                "this training counts iterations and is one epoch, so that it is saved only at its "
                "end: set default_hooks.checkpoint=dict(by_epoch=False, interval=...)"
            )
        if not hook.save_optimizer:
            yield (
                "default_hooks.checkpoint.save_optimizer is False: this training cannot be resumed "
                "from its checkpoints"
            )


def _saves(hook: CheckpointHook, runner: Runner) -> bool:
    total = runner.max_epochs if hook.by_epoch else runner.max_iters
    return hook.save_last or 0 < hook.interval <= total - hook.save_begin


def _of_validation(runner: Runner) -> Iterator[str]:
    """Yield warnings of what needs a validation, if there is none."""
    loop: Any = runner.train_loop
    if runner.val_loop is not None:
        total = loop.max_iters if isinstance(loop, IterBasedTrainLoop) else loop.max_epochs
        if loop.val_begin <= total:
            return
        cause = f"train_cfg.val_begin is {loop.val_begin}, after the last of {total}"
        yield f"this training has no validation, because {cause}"
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            yield "default_hooks.checkpoint.save_best has no effect, because there is no validation"
        if isinstance(hook, EarlyStoppingHook):
            yield "EarlyStoppingHook has no effect, because there is no validation"
    if any(getattr(each, "need_val_args", False) for _, each in _schedulers(runner)):
        yield "ReduceOnPlateau in param_scheduler has no effect, because there is no validation"


def _of_schedules(runner: Runner) -> Iterator[str]:
    """Yield warnings of schedules that do not reach their end, or do not begin."""
    schedulers = list(_schedulers(runner))
    if schedulers and not any(isinstance(hook, ParamSchedulerHook) for hook in runner.hooks):
        yield "param_scheduler has no effect, because default_hooks.param_scheduler is None"
        return
    by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
    for name, each in schedulers:
        total = runner.max_epochs if each.by_epoch else runner.max_iters
        unit = "epochs" if each.by_epoch else "iterations"
        if each.by_epoch and by_iter:
            yield (
                f"{name} has no effect, because this training counts iterations and is one epoch: "
                "set its by_epoch=False"
            )
        is_warm_up = isinstance(each, (LinearParamScheduler, ConstantParamScheduler))
        if is_warm_up and total < each.end < INF - 1 and not (each.by_epoch and by_iter):
            yield (
                f"{name} ends after {each.end} {unit}, and this training has {total}: the learning "
                "rate of the config is not reached"
            )


def _schedulers(runner: Runner) -> Iterator[tuple[str, Any]]:
    """Yield the parameter schedulers with their places in the config."""
    groups: Any = runner.param_schedulers or []
    named = groups.items() if isinstance(groups, dict) else [("", groups)]
    for key, group in named:
        for index, each in enumerate(group):
            yield ".".join(filter(None, ("param_scheduler", key, str(index)))), each
