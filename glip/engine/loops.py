"""The runner's train loops, which resume bit-exactly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from mmengine.dist import broadcast_object_list, get_rank
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from glip.datasets import leaf_datasets
from glip.engine.seeding import (
    STEP_STREAM,
    SeededDataLoader,
    derive_seed,
    set_seed,
)
from glip.engine.training_course import check_course
from glip.models import GLIP, TextFeatureCache
from glip.registry import LOOPS
from glip.text import Prompt
from glip.utils.errors import PromptError

#: Key of the message hub for the iteration whose validation has finished.
VALIDATED_ITER = "validated_iter"


class _ResumableTrainLoop:
    """What both train loops share: a seed for every step, and validation that was interrupted."""

    runner: Runner
    dataloader: SeededDataLoader
    val_begin: int
    val_interval: int
    _iter: int

    def _warn_of_unknown_names(self) -> None:
        """Warn of class names of which the tokenizer knows no word."""
        model = self.runner.model
        model = model.module if is_model_wrapper(model) else model
        if not isinstance(model, GLIP):
            return
        cache = TextFeatureCache(model)  # which logs them
        for dataset in leaf_datasets(self.dataloader.dataset):
            names = (getattr(dataset, "metainfo", None) or {}).get("classes")
            if names and getattr(dataset, "return_classes", False):
                with suppress(PromptError):  # of the images that have such a prompt
                    cache.chunk_prompt(Prompt.from_class_names(names, allow_blank=True))

    def _seed_step(self) -> None:
        """Seed the random numbers that the model uses in this step (dropout, drop path)."""
        seed = self.dataloader.batch_sampler.seed
        set_seed(derive_seed(STEP_STREAM, seed, get_rank(), self._iter))

    def _validate_if_due(self, done: int, total: int) -> None:
        """Validate after ``done`` of ``total`` epochs or iterations if the interval says so."""
        if (
            self.runner.val_loop is not None
            and done >= self.val_begin
            and (done % self.val_interval == 0 or done == total)
        ):
            self.runner.val_loop.run()

    def _validate_if_interrupted(self, done: int, total: int) -> None:
        """Validate after resuming, if that was due but not finished.

        A checkpoint is saved before the validation of the same iteration.
        """
        if self._iter > 0 and (
            self.runner.message_hub.runtime_info.get(VALIDATED_ITER) != self._iter
        ):
            self._validate_if_due(done, total)


@LOOPS.register_module()
class EpochBasedTrainLoop(_ResumableTrainLoop, MMEngineEpochBasedTrainLoop):
    """Train by epochs; the course of the training is a deterministic function of the seed.

    Args:
        runner: the runner.
        dataloader: a data loader or its config.
        max_epochs: number of passes over the data.
        val_begin: epoch of the first validation.
        val_interval: epochs between validations.
        dynamic_intervals: pairs (epoch, interval from this epoch on).

    Attributes:
        batches_done: finished batches of the current epoch.

    Raises:
        TrainingError: the data do not fill one batch.
    """

    dataloader: SeededDataLoader

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
            _build_seeded_dataloader(runner, dataloader, infinite=False),
            max_epochs,
            val_begin,
            val_interval,
            dynamic_intervals,
        )
        self.batches_done = 0

    def run(self) -> nn.Module:
        """Train and return the model."""
        self._warn_of_unknown_names()
        check_course(self.runner)
        self.runner.call_hook("before_train")
        self._decide_current_val_interval()
        if not self.batches_done:
            self._validate_if_interrupted(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_epoch(self) -> None:
        """Train on the remaining batches of the epoch."""
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        self.dataloader.batch_sampler.seek(self._epoch, self.batches_done)
        for number, data_batch in enumerate(self.dataloader, start=self.batches_done):
            self.batches_done = number + 1
            self.run_iter(number, data_batch)
        self.batches_done = 0
        self.runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Train on one batch.

        Args:
            idx: its number in the epoch.
            data_batch: from the data loader.
        """
        self._seed_step()
        super().run_iter(idx, data_batch)


@LOOPS.register_module()
class IterBasedTrainLoop(_ResumableTrainLoop, MMEngineIterBasedTrainLoop):
    """Train by iterations; the course of the training is a deterministic function of the seed.

    A finite sampler restarts after each pass with another shuffle, so that no ``InfiniteSampler``
    is needed.

    Args:
        runner: the runner.
        dataloader: a data loader or its config.
        max_iters: number of batches to train on.
        val_begin: iteration of the first validation.
        val_interval: iterations between validations.
        dynamic_intervals: pairs (iteration, interval from this iteration on).

    Raises:
        TrainingError: the data do not fill one batch.
    """

    dataloader: SeededDataLoader

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
            _build_seeded_dataloader(runner, dataloader, infinite=True),
            max_iters,
            val_begin,
            val_interval,
            dynamic_intervals,
        )

    def run(self) -> nn.Module:
        """Train and return the model."""
        self._warn_of_unknown_names()
        check_course(self.runner)
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        self.dataloader.batch_sampler.seek(batch=self._iter)
        self.dataloader_iterator = iter(self.dataloader)
        self._decide_current_val_interval()
        self._validate_if_interrupted(self._iter, self._max_iters)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            self._validate_if_due(self._iter, self._max_iters)
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """Train on one batch.

        Args:
            data_batch: from the data loader.
        """
        self._seed_step()
        super().run_iter(data_batch)


def _build_seeded_dataloader(
    runner: Runner, dataloader: DataLoader | dict, *, infinite: bool
) -> SeededDataLoader:
    # With randomness.diff_rank_seed the ranks have different seeds, but samplers must agree on one.
    seeds = [runner.seed]
    broadcast_object_list(seeds)
    if isinstance(dataloader, dict):
        loader = runner.build_dataloader(dataloader, seed=seeds[0])
    else:
        loader = dataloader
    return SeededDataLoader(loader, seed=seeds[0], rank=get_rank(), infinite=infinite)
