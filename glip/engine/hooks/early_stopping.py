"""The hook that ends a training which gets no better."""

from __future__ import annotations

from mmengine.hooks import EarlyStoppingHook as MMEngineEarlyStoppingHook
from mmengine.runner import Runner

from glip.registry import HOOKS

#: The message hub's name for what the hook has seen.
_SEEN = "early_stopping"


@HOOKS.register_module()
class EarlyStoppingHook(MMEngineEarlyStoppingHook):
    """mmengine's hook, with its arguments; a training that is resumed remembers what it has seen.

    For COCO's numbers, which go from 0 to 1, give ``min_delta``: its default is 0.1.
    """

    # Before the hook that saves checkpoints, so that these know what this hook has seen.
    priority = "LOW"

    def before_run(self, runner: Runner) -> None:
        """Do nothing; mmengine's would load the training data here, also for a test."""

    def before_train(self, runner: Runner) -> None:
        """Remember.

        Args:
            runner: mmengine's runner.
        """
        seen = runner.message_hub.runtime_info.get(_SEEN, {}).get(self.monitor)
        if seen is not None:
            self.best_score, self.wait_count = seen

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        """Decide whether to go on.

        Args:
            runner: mmengine's runner.
            metrics: the numbers by name.
        """
        super().after_val_epoch(runner, metrics)
        seen = dict(runner.message_hub.runtime_info.get(_SEEN, {}))
        seen[self.monitor] = (float(self.best_score), self.wait_count)
        runner.message_hub.update_info(_SEEN, seen)
