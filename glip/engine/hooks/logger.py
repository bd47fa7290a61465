"""The hook that logs, and stores the numbers of a test."""

from __future__ import annotations

from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as MMEngineLoggerHook
from mmengine.runner import Runner

from glip.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(MMEngineLoggerHook):
    """mmengine's hook; but of several processes one stores the numbers of a test.

    mmengine's own lets all of them write one file at the same time, which can spoil it.
    """

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log and store the numbers.

        Args:
            runner: mmengine's runner.
            metrics: the numbers by name.
        """
        if is_main_process():
            super().after_test_epoch(runner, metrics)
