"""Stop a training that no longer improves."""

from __future__ import annotations

from mmengine.hooks import EarlyStoppingHook as MMEngineEarlyStoppingHook
from mmengine.runner import Runner

from glip.engine.hooks.monitor import check_monitored
from glip.registry import HOOKS

#: Key of the message hub for the hook's state, which checkpoints contain.
_STATE = "early_stopping"


@HOOKS.register_module()
class EarlyStoppingHook(MMEngineEarlyStoppingHook):
    """mmengine's hook with its arguments, whose state is saved and resumed.

    COCO metrics range from 0 to 1: set ``min_delta``, whose default is 0.1.
    """

    # Runs before the hook that saves checkpoints, so that they contain the current state.
    priority = "LOW"

    def before_run(self, runner: Runner) -> None:
        """Do nothing; mmengine's hook would build the training data here, also for a test."""

    def before_train(self, runner: Runner) -> None:
        """Restore the state of a resumed training."""
        state = runner.message_hub.runtime_info.get(_STATE, {}).get(self.monitor)
        if state is not None:
            self.best_score, self.wait_count = state

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Decide whether to stop.

        Args:
            runner: the runner.
            metrics: values by name.

        Raises:
            TrainingError: ``monitor`` is not among the metrics.
        """
        where = "the monitor of EarlyStoppingHook in custom_hooks"
        check_monitored("monitor", self.monitor, metrics, where)
        super().after_val_epoch(runner, metrics)
        states = dict(runner.message_hub.runtime_info.get(_STATE, {}))
        states[self.monitor] = (float(self.best_score), self.wait_count)
        runner.message_hub.update_info(_STATE, states)
