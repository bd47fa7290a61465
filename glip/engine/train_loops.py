"""Loops of the training that can be interrupted anywhere and go on as if they had not been."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dist import broadcast_object_list, get_rank
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from glip.engine.seeding import STEP_STREAM, SeededLoader, derive_seed, set_seed
from glip.registry import LOOPS

#: The message hub's name for the iteration whose validation is finished.
VALIDATED = "validated_iter"


class _ResumableLoop:
    """What both loops share: seeds of every step, and validations that an interruption left out."""

    runner: Runner
    dataloader: SeededLoader
    _iter: int

    def _seed_step(self) -> None:
        """Seed what the model draws (dropout, stochastic depth) in this iteration."""
        set_seed(derive_seed(STEP_STREAM, self.dataloader.draws.seed, get_rank(), self._iter))

    def _validate_if_interrupted(self) -> None:
        """Validate if that is due and was not finished: a checkpoint is saved before it."""
        if (
            self._iter > 0
            and self._validation_is_due()
            and self.runner.message_hub.runtime_info.get(VALIDATED) != self._iter
        ):
            self.runner.val_loop.run()

    def _validation_is_due(self) -> bool:
        raise NotImplementedError


@LOOPS.register_module()
class EpochBasedTrainLoop(_ResumableLoop, MMEngineEpochBasedTrainLoop):
    """mmengine's loop over epochs, whose course follows from the seed alone.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        max_epochs: how many passes over the data.
        val_begin: the epoch of the first validation.
        val_interval: epochs from one validation to the next.
        dynamic_intervals: pairs (epoch, interval from there on).

    Attributes:
        batches_done: batches of the current epoch that were trained on.

    Raises:
        TrainingError: the data do not fill one batch.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ):
        super().__init__(
            runner,
            _seeded_loader(runner, dataloader),
            max_epochs,
            val_begin,
            val_interval,
            dynamic_intervals,
        )
        self.batches_done = 0

    def run(self) -> nn.Module:
        """Train.

        Returns:
            the model.
        """
        self.runner.call_hook("before_train")
        self._decide_current_val_interval()
        if not self.batches_done:
            self._validate_if_interrupted()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if self._validation_is_due():
                self.runner.val_loop.run()
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on what is left of the epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self.dataloader.draws.epoch = self._epoch
        self.dataloader.draws.start = self.batches_done
        for number, data_batch in enumerate(self.dataloader, start=self.batches_done):
            self.batches_done = number + 1
            self.run_iter(number, data_batch)
        self.batches_done = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on a batch.

        Args:
            idx: its number in the epoch.
            data_batch: of the data loader.
        """
        self._seed_step()
        super().run_iter(idx, data_batch)

    def _validation_is_due(self) -> bool:
        epoch = self._epoch
        return (
            self.runner.val_loop is not None
            and epoch >= self.val_begin
            and (epoch % self.val_interval == 0 or epoch == self._max_epochs)
        )


@LOOPS.register_module()
class IterBasedTrainLoop(_ResumableLoop, MMEngineIterBasedTrainLoop):
    """mmengine's loop over iterations, whose course follows from the seed alone.

    With a sampler that ends it begins anew, shuffled in another way; an ``InfiniteSampler`` is not
    needed.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        max_iters: how many batches to train on.
        val_begin: the iteration of the first validation.
        val_interval: iterations from one validation to the next.
        dynamic_intervals: pairs (iteration, interval from there on).

    Raises:
        TrainingError: the data do not fill one batch.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: list[tuple[int, int]] | None = None,
    ):
        super().__init__(
            runner,
            _seeded_loader(runner, dataloader),
            max_iters,
            val_begin,
            val_interval,
            dynamic_intervals,
        )

    def run(self) -> nn.Module:
        """Train.

        Returns:
            the model.
        """
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        self.dataloader.draws.start = self._iter
        self.dataloader.draws.infinite = True
        self.dataloader_iterator = iter(self.dataloader)
        self._decide_current_val_interval()
        self._validate_if_interrupted()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if self._validation_is_due():
                self.runner.val_loop.run()
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """Train on a batch.

        Args:
            data_batch: of the data loader.
        """
        self._seed_step()
        super().run_iter(data_batch)

    def _validation_is_due(self) -> bool:
        done = self._iter
        return (
            self.runner.val_loop is not None
            and done >= self.val_begin
            and (done % self.val_interval == 0 or done == self._max_iters)
        )


def _seeded_loader(runner: Runner, dataloader: DataLoader | dict) -> Any:
    """Build the loader as mmengine's loops do, with all that is drawn following from the seed."""
    # With randomness.diff_rank_seed every process has another; the samplers must agree on one.
    seeds = [runner.seed]
    broadcast_object_list(seeds)
    if isinstance(dataloader, dict):
        dataloader = runner.build_dataloader(dataloader, seed=seeds[0])
    return SeededLoader(dataloader, seed=seeds[0], rank=get_rank())
