"""The runner's loops: two train loops that resume bit-exactly, and a test loop that resumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, get_rank, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from mmengine.runner import Runner, TestLoop
from mmengine.runner.amp import autocast
from torch import nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from glip.engine.prediction_store import PredictionStore
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


@LOOPS.register_module()
class GLIPTestLoop(TestLoop):
    """Run the model over a data set, then score.

    With ``resume_dir`` the predictions of every batch are written there before the next begins; a
    run that is started again with the same folder reads them instead of computing them. Images
    reach the metrics in the same order either way, so the numbers are the same.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
        resume_dir: folder of finished predictions; ``None`` to keep none.

    Raises:
        EvaluationMismatchError: the folder of finished predictions belongs to another evaluation.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Evaluator | dict | list,
        fp16: bool = False,
        resume_dir: str | Path | None = None,
    ):
        super().__init__(runner, dataloader, evaluator, fp16)
        self.store: PredictionStore | None = None
        if resume_dir is not None:
            self.store = PredictionStore(resume_dir, fingerprint=self._fingerprint())

    def run(self) -> dict:
        """Detect in every image, then score.

        Returns:
            the metrics.
        """
        self.runner.call_hook("before_test")
        self.runner.call_hook("before_test_epoch")
        self.runner.model.eval()
        indices = list(self.dataloader.sampler)
        ready = self._read_finished()
        batches = self._detect([i for i in dict.fromkeys(indices) if i not in ready])
        uses = Counter(indices)  # a sampler may repeat images to give every process as many
        for index in indices:
            while index not in ready:
                ready.update(next(batches))
            uses[index] -= 1
            sample = ready[index] if uses[index] else ready.pop(index)
            self.evaluator.process(data_samples=[sample])
        next(batches, None)  # there is none left: it ends the progress bar
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook("after_test_epoch", metrics=metrics)
        self.runner.call_hook("after_test")
        return metrics

    def _read_finished(self) -> dict[int, dict]:
        """Read the predictions of an interrupted run, by index."""
        if self.store is None:
            return {}
        ready = self.store.read()
        self.runner.logger.info(
            f"{len(ready)} of {len(self.dataloader.dataset)} images are finished already, in "
            f"{self.store.folder}"
        )
        return ready

    def _detect(self, todo: Sequence[int]) -> Iterator[dict[int, dict]]:
        """Run the model on some images; yield each batch's predictions by index."""
        size = self.dataloader.batch_size
        batches = tqdm(
            _restrict(self.dataloader, todo),
            desc="Testing",
            unit="batch",
            disable=not is_main_process(),
            dynamic_ncols=True,
        )
        for batch_idx, data_batch in enumerate(batches):
            self.runner.call_hook("before_test_iter", batch_idx=batch_idx, data_batch=data_batch)
            with torch.no_grad(), autocast(enabled=self.fp16):
                outputs = self.runner.model.test_step(data_batch)
            rows = todo[batch_idx * size : (batch_idx + 1) * size]
            found = {
                index: output.cpu().to_dict() for index, output in zip(rows, outputs, strict=True)
            }
            if self.store is not None:
                self.store.write(found)
            self.runner.call_hook(
                "after_test_iter", batch_idx=batch_idx, data_batch=data_batch, outputs=outputs
            )
            yield found

    def _fingerprint(self) -> str:
        """What two evaluations must share to share predictions."""
        cfg = self.runner.cfg
        loader = cfg.get("test_dataloader", {})
        # Images of a batch are padded to one size, which changes the last digits.
        data = [loader.get("dataset"), loader.get("batch_size")]
        parts = [cfg.get("model"), *data, cfg.get("load_from")]
        return "\n".join(str(part) for part in parts)


def _restrict(loader: DataLoader, indices: Sequence[int]) -> DataLoader:
    """A loader like ``loader`` over some of its images, in the given order."""
    return DataLoader(
        Subset(loader.dataset, list(indices)),
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        worker_init_fn=loader.worker_init_fn,
        prefetch_factor=loader.prefetch_factor,
    )
