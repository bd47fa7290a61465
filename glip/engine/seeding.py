"""Chance in training as a function of numbers that a checkpoint knows.

What is drawn for an image (its flip, its size, another image in place of a broken one) follows from
the seed, the process, the epoch, the number of the batch and the place in it, and from nothing
else: not from what was drawn before, nor from how many processes load the data. So a training that
is resumed needs no state of random generators, and draws what it would have drawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from glip.utils.errors import TrainingError

#: What is drawn for an image, and what is drawn while the model runs, start from different numbers.
IMAGE_STREAM, STEP_STREAM = 0, 1


def derive_seed(*numbers: int) -> int:
    """Make one number of 64 bits from several numbers of 0 or more; others make others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def set_seed(seed: int) -> None:
    """Seed the generators of Python, numpy and torch (also of its GPUs)."""
    _seed_python_and_numpy(seed)
    torch.manual_seed(seed)


@contextmanager
def fork_rng(seed: int) -> Iterator[None]:
    """Seed the generators of Python, numpy and torch on the CPU; afterwards they are as before."""
    numpy_before = np.random.get_state()  # noqa: NPY002 -- what transforms draw from
    before = random.getstate(), torch.random.get_rng_state()
    _seed_python_and_numpy(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(numpy_before)  # noqa: NPY002
        torch.random.set_rng_state(before[1])


def _seed_python_and_numpy(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002


class SeededDataset(Dataset):
    """A data set that is asked for ``(index, seed)`` and draws from the seed.

    Everything else is that of the data set it wraps.

    Args:
        dataset: any data set.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    def __getitem__(self, drawn: tuple[int, int]) -> Any:
        index, seed = drawn
        with fork_rng(seed):
            return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name == "dataset":  # not there yet: it is being unpickled in a loading process
            raise AttributeError(name)
        return getattr(self.dataset, name)


class SeededBatchSampler(Sampler):
    """Batches of ``(index, seed)``, from any batch on.

    Args:
        batches: gives lists of indices; its ``sampler`` may have ``set_epoch``.
        seed: of the training.
        rank: of the process.

    Attributes:
        epoch: the pass over the data that is next.
        start: how many of its batches to leave out.
        infinite: go on with the next epoch when one ends.
    """

    def __init__(self, batches: Sampler, *, seed: int, rank: int):
        self.batches = batches
        self.seed = seed
        self.rank = rank
        self.epoch = 0
        self.start = 0
        self.infinite = False

    @property
    def sampler(self) -> Any:
        """The sampler of single images, which mmengine's ``DistSamplerSeedHook`` looks for."""
        return getattr(self.batches, "sampler", self.batches)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, start = self.epoch, self.start
        if self.infinite and hasattr(self.sampler, "epoch"):  # it has passes, not one without end
            whole, start = divmod(start, len(self))
            epoch += whole
        while True:
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(epoch)
            number = -1
            for number, batch in enumerate(self.batches):
                if number >= start:
                    yield self._with_seeds(batch, epoch, number)
            if not self.infinite:
                return
            if number < 0:
                raise TrainingError(_NO_BATCH)
            epoch, start = epoch + 1, max(start - number - 1, 0)

    def _with_seeds(self, batch: Sequence[int], epoch: int, number: int) -> list[tuple[int, int]]:
        key = (IMAGE_STREAM, self.seed, self.rank, epoch, number)
        return [(index, derive_seed(*key, place)) for place, index in enumerate(batch)]

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]


class SeededLoader:
    """A data loader whose batches are the same whenever and however they are loaded.

    It stands in for the loader that it is made from; what is not here is that one's.

    Args:
        loader: of a training.
        seed: of the training.
        rank: of the process.

    Raises:
        TrainingError: there is not one whole batch.
    """

    def __init__(self, loader: DataLoader, *, seed: int, rank: int):
        self.draws = SeededBatchSampler(loader.batch_sampler, seed=seed, rank=rank)
        if not len(self.draws):
            raise TrainingError(_NO_BATCH)
        self.batch_size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
        self.sampler = self.draws.sampler
        self._loader = DataLoader(
            SeededDataset(loader.dataset),
            batch_sampler=self.draws,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
        )

    def __iter__(self) -> Iterator[Any]:
        """Load; nothing begins before the first batch is asked for."""
        yield from self._loader

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":
            raise AttributeError(name)
        return getattr(self._loader, name)


_NO_BATCH = (
    "the training data do not fill one batch: expected at least batch_size images for each "
    "process, or train_dataloader.drop_last=False"
)
