"""Random numbers of training as a deterministic function of the seed and the position.

The random augmentation of an image (its flip, its size, the image that replaces a broken one) is a
function of the seed, the rank, the epoch, the number of the batch and the position in the batch.
It depends neither on earlier random numbers nor on the number of data-loading workers. A resumed
training therefore needs no saved state of the random number generators (RNGs): it draws the numbers
that the uninterrupted training draws.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from glip.utils.errors import GLIPError, TrainingError, summarize

#: What torch says of worker processes that cannot start, or have ended.
_OF_WORKERS = re.compile(
    "start new thread|timed out after|exited unexpectedly|is killed by|Resource temporarily|"
    "Too many open files"
)
#: Most images of an epoch: the order of more does not fit into memory.
_MAX_IMAGES = 10**9
#: Separate streams of seeds, for the augmentation of an image and for a step of the model.
IMAGE_STREAM, STEP_STREAM = 0, 1


def derive_seed(*keys: int) -> int:
    """Hash non-negative integers to a seed of 64 bits."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0])


def set_seed(seed: int) -> None:
    """Seed the RNGs of Python, numpy and torch, on the CPU and all GPUs."""
    _seed_python_and_numpy(seed)
    torch.manual_seed(seed)


@contextmanager
def fork_rng(seed: int) -> Iterator[None]:
    """Seed the RNGs of Python, numpy and torch on the CPU; restore their states at exit."""
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 -- the RNG that transforms use
    torch_state = torch.random.get_rng_state()
    _seed_python_and_numpy(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.random.set_rng_state(torch_state)


def _seed_python_and_numpy(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 -- it takes 32 bits


class SeededDataset(Dataset):
    """A data set that is indexed by ``(index, seed)`` and augments the image with that seed.

    Args:
        dataset: any map-style data set.
    """

    def __init__(self, dataset: Dataset):
        self.dataset = dataset

    @property
    def metainfo(self) -> dict[str, Any]:
        """The wrapped data set's ``metainfo``, which mmengine's loops pass to the visualizer."""
        return self.dataset.metainfo  # type: ignore[attr-defined]

    def __getitem__(self, index_and_seed: tuple[int, int]) -> Any:
        index, seed = index_and_seed
        with fork_rng(seed):
            return self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]


class SeededBatchSampler(Sampler):
    """Yield batches of ``(index, seed)``, starting at any batch.

    Args:
        batch_sampler: yields lists of indices; its ``sampler`` may have ``set_epoch``.
        seed: of the training.
        rank: of the process.
        infinite: continue with the next epoch after the last batch of one.
    """

    def __init__(self, batch_sampler: Any, *, seed: int, rank: int, infinite: bool = False):
        self.batch_sampler = batch_sampler
        self.batch_size = getattr(batch_sampler, "batch_size", None)
        self.seed = seed
        self.rank = rank
        self.infinite = infinite
        self._epoch = 0
        self._batch = 0

    @property
    def sampler(self) -> Any:
        """The sampler of single images, on which mmengine's ``DistSamplerSeedHook`` sets epochs."""
        return getattr(self.batch_sampler, "sampler", self.batch_sampler)

    def seek(self, epoch: int = 0, batch: int = 0) -> None:
        """Set where the next iteration starts.

        Args:
            epoch: the epoch.
            batch: how many of its batches to skip; if infinite, also those of later epochs.
        """
        self._epoch = epoch
        self._batch = batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, skipped = self._epoch, self._batch
        # Skip entire epochs without iterating over them. A sampler without epochs never ends.
        if self.infinite and hasattr(self.sampler, "epoch"):
            epochs, skipped = divmod(skipped, len(self))
            epoch += epochs
        while True:
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(epoch)
            number = -1
            for number, batch in enumerate(self.batch_sampler):
                if number >= skipped:
                    yield self._add_seeds(batch, epoch, number)
            if not self.infinite:
                return
            if number < 0:
                raise TrainingError(_NO_BATCH)
            epoch, skipped = epoch + 1, max(skipped - number - 1, 0)

    def _add_seeds(self, batch: Sequence[int], epoch: int, number: int) -> list[tuple[int, int]]:
        key = (IMAGE_STREAM, self.seed, self.rank, epoch, number)
        return [(index, derive_seed(*key, position)) for position, index in enumerate(batch)]

    def __len__(self) -> int:
        return len(self.batch_sampler)


class SeededDataLoader(DataLoader):
    """A data loader whose batches do not depend on when, or by how many workers, they are loaded.

    Args:
        loader: data set, batch sampler and worker options are taken from it.
        seed: of the training.
        rank: of the process.
        infinite: continue with the next epoch after the last batch of one.

    Raises:
        TrainingError: there is no full batch.
    """

    batch_sampler: SeededBatchSampler  # type: ignore[assignment]

    def __init__(self, loader: DataLoader, *, seed: int, rank: int, infinite: bool = False):
        batch_sampler = SeededBatchSampler(
            loader.batch_sampler, seed=seed, rank=rank, infinite=infinite
        )
        if not len(batch_sampler):
            raise TrainingError(_NO_BATCH)
        images = len(loader.dataset)  # type: ignore[arg-type]
        if images > _MAX_IMAGES:
            raise TrainingError(
                f"an epoch has {images:,} images: expected at most {_MAX_IMAGES:,}; lower times of "
                "RepeatDataset"
            )
        super().__init__(
            SeededDataset(loader.dataset), batch_sampler=batch_sampler, **worker_options(loader)
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Iterate; workers start when the first batch is requested.

        mmengine's iteration-based loop creates an iterator before the start position is known.

        Raises:
            TrainingError: a worker process cannot start, has ended, or takes longer than
                ``timeout``.
        """
        try:
            yield from super().__iter__()
        except (RuntimeError, OSError) as error:
            if isinstance(error, GLIPError) or not _OF_WORKERS.search(str(error)):
                raise
            raise TrainingError(
                f"the {self.num_workers} worker processes of the data loader cannot continue "
                f"({summarize(error)}): lower train_dataloader.num_workers or raise its timeout, "
                "and check that the memory is enough; then continue with --resume"
            ) from None


def worker_options(loader: DataLoader) -> dict[str, Any]:
    """Return the arguments by which another data loader loads and collates as ``loader`` does."""
    return dict(
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )


_NO_BATCH = (
    "the training data do not fill one batch: expected at least batch_size images for each "
    "process; add images, lower batch_size or set train_dataloader.drop_last=False"
)
