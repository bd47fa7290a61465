"""Log, and store the metrics of a test."""

from __future__ import annotations

from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook as MMEngineLoggerHook
from mmengine.runner import Runner

from glip.registry import HOOKS


@HOOKS.register_module()
class LoggerHook(MMEngineLoggerHook):
    """mmengine's hook, except for two points.

    Only the main process stores the metrics of a test: in mmengine's hook all ranks write the same
    file at once, which can corrupt it. The first iteration of a training, also of a resumed one, is
    logged, so that its loss and its time are known before ``interval`` iterations have passed. The
    stored scalars are those of mmengine's hook.
    """

    _is_first = False

    def before_train(self, runner: Runner) -> None:
        """Note that the next iteration is the first one.

        Args:
            runner: the runner.
        """
        super().before_train(runner)
        self._is_first = True

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Log the first iteration, and each one that mmengine's hook logs.

        Args:
            runner: the runner.
            batch_idx: number of the batch in its epoch.
            data_batch: the batch.
            outputs: the losses.
        """
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        is_first, self._is_first = self._is_first, False
        is_logged = self.every_n_inner_iters(batch_idx, self.interval) or self.end_of_epoch(
            runner.train_dataloader, batch_idx
        )
        if is_first and not is_logged:
            runner.logger.info(
                runner.log_processor.get_log_after_iter(runner, batch_idx, "train")[1]
            )

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log and store the metrics.

        Args:
            runner: the runner.
            metrics: values by name.
        """
        if is_main_process():
            super().after_test_epoch(runner, metrics)
