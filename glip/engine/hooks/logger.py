"""Log, and store the metrics of a test."""

from __future__ import annotations

from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as MMEngineLoggerHook
from mmengine.runner import Runner

from glip.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(MMEngineLoggerHook):
    """mmengine's hook, except that only the main process stores the metrics of a test.

    In mmengine's hook all ranks write the same file at once, which can corrupt it.
    """

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log and store the metrics.

        Args:
            runner: the runner.
            metrics: values by name.
        """
        if is_main_process():
            super().after_test_epoch(runner, metrics)
