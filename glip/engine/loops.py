"""The runner's loops: two train loops that resume bit-exactly, and a test loop that resumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from mmengine.dist import broadcast_object_list, get_rank, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from mmengine.runner import Runner, TestLoop
from mmengine.runner import ValLoop as MMEngineValLoop
from mmengine.runner.amp import autocast
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from glip.engine.prediction_store import PredictionStore
from glip.engine.seeding import (
    STEP_STREAM,
    SeededDataLoader,
    derive_seed,
    set_seed,
    worker_options,
)
from glip.models import GLIP, TextFeatureCache
from glip.registry import LOOPS

#: Key of the message hub for the iteration whose validation has finished.
VALIDATED_ITER = "validated_iter"


class _ResumableTrainLoop:
    """What both train loops share: a seed for every step, and validation that was interrupted."""

    runner: Runner
    dataloader: SeededDataLoader
    val_begin: int
    val_interval: int
    _iter: int

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


def _bind_step(model: nn.Module, name: str) -> Callable[[dict], list]:
    """Return a model's ``val_step`` or ``test_step`` for a run in which no weight changes.

    That of a :class:`~glip.models.GLIP` then encodes each prompt once for all batches.
    """
    detector = model.module if isinstance(model, DistributedDataParallel) else model
    if not isinstance(detector, GLIP):
        return getattr(model, name)
    cache = TextFeatureCache(detector)
    return partial(getattr(detector, name), encode_prompt=cache.encode_prompt)


@LOOPS.register_module()
class ValLoop(MMEngineValLoop):
    """mmengine's validation loop; each prompt is encoded once in a run.

    Args:
        runner: mmengine's runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
    """

    def run(self) -> dict:
        """Detect in every image, then score.

        Returns:
            The metrics.
        """
        self._step: Callable[[dict], list] | None = None
        return super().run()

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Detect in a batch."""
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=data_batch)
        if self._step is None:  # only now: the hooks before an epoch may replace the weights
            self._step = _bind_step(self.runner.model, "val_step")
        with autocast(enabled=self.fp16):
            outputs = self._step(data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            "after_val_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )


@LOOPS.register_module()
class GLIPTestLoop(TestLoop):
    """Detect in a data set and evaluate; an interrupted evaluation can be resumed.

    With ``resume_dir`` the predictions of each batch are stored before the next batch starts. A
    later run with the same folder reads them instead of computing them. Images reach the metrics in
    the same order either way, so the metrics are equal.

    Args:
        runner: the runner.
        dataloader: a data loader or its config.
        evaluator: an evaluator or its config.
        fp16: run the model under autocast.
        resume_dir: folder of stored predictions; ``None`` to store none.

    Raises:
        EvaluationMismatchError: the folder holds predictions of another evaluation.
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
        """Detect in every image and return the metrics."""
        self.runner.call_hook("before_test")
        self.runner.call_hook("before_test_epoch")
        self.runner.model.eval()
        indices = list(self.dataloader.sampler)
        ready = self._read_stored()
        batches = self._detect([i for i in dict.fromkeys(indices) if i not in ready])
        uses = Counter(indices)  # a sampler repeats images so that ranks get equally many
        for index in indices:
            while index not in ready:
                ready.update(next(batches))
            uses[index] -= 1
            sample = ready[index] if uses[index] else ready.pop(index)
            self.evaluator.process(data_samples=[sample])
        next(batches, None)  # exhausted: closes the progress bar
        metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self.runner.call_hook("after_test_epoch", metrics=metrics)
        self.runner.call_hook("after_test")
        return metrics

    def _read_stored(self) -> dict[int, dict]:
        """Return the predictions of an interrupted run by image index."""
        if self.store is None:
            return {}
        ready = self.store.read()
        self.runner.logger.info(
            f"{len(ready)} of {len(self.dataloader.dataset)} images are already finished in "
            f"{self.store.folder}"
        )
        return ready

    def _detect(self, todo: Sequence[int]) -> Iterator[dict[int, dict]]:
        """Detect in some images; yield the predictions of each batch by image index."""
        size = self.dataloader.batch_size
        batches = tqdm(
            _restrict(self.dataloader, todo),
            desc="Testing",
            unit="batch",
            disable=not is_main_process(),
            dynamic_ncols=True,
        )
        test_step = _bind_step(self.runner.model, "test_step")
        for batch_idx, data_batch in enumerate(batches):
            self.runner.call_hook("before_test_iter", batch_idx=batch_idx, data_batch=data_batch)
            with torch.no_grad(), autocast(enabled=self.fp16):
                outputs = test_step(data_batch)
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
        """Return a text that is equal for evaluations that may share predictions."""
        cfg = self.runner.cfg
        loader = cfg.get("test_dataloader", {})
        # Images are padded to the largest of their batch, which changes the last digits.
        data = [loader.get("dataset"), loader.get("batch_size")]
        parts = [cfg.get("model"), *data, cfg.get("load_from")]
        return "\n".join(str(part) for part in parts)


def _restrict(loader: DataLoader, indices: Sequence[int]) -> DataLoader:
    """Return a loader like ``loader`` over some of its images, in the given order."""
    return DataLoader(
        Subset(loader.dataset, list(indices)),
        batch_size=loader.batch_size,
        **worker_options(loader),
    )
