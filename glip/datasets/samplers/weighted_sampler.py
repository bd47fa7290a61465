"""Sample several data sets by weight."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch import Tensor
from torch.utils.data import Sampler

from glip.registry import DATA_SAMPLERS
from glip.utils.errors import DataError

#: Part of the seed: the order of an epoch and the order of a data set are independent.
_EPOCH_STREAM, _DATA_SET_STREAM = 0, 1
#: So many indices become Python integers at a time; all at once would take gigabytes of memory.
_CHUNK_SIZE = 2**16


@DATA_SAMPLERS.register_module()
class WeightedConcatSampler(Sampler):
    """Mix the data sets of a ``ConcatDataset`` by weight.

    Each data set contributes weight / sum of weights of the N images of an epoch, to within one
    image. Each is traversed in a shuffled order of its own: an epoch resumes where the last one
    stopped, and the data set is shuffled again only at its end. A large data set with a small
    weight is thus covered completely over several epochs, and no image of a small data set with a
    large weight is repeated much more often than another.

    The order is a deterministic function of the seed and the epoch, so training can be resumed in
    the middle of an epoch from these alone. The processes divide the order: together they go
    through it once.

    Args:
        dataset: A :class:`~glip.datasets.ConcatDataset`.
        weights: A positive number per data set, in the order of its config; only the ratios matter.
            By default the numbers of images, so that every image comes once per epoch.
        epoch_length: N, over all processes, rounded up to a multiple of their number; by default
            the number of images of all data sets.
        seed: The same in all processes; random by default.

    Attributes:
        counts: Number of images per data set in an epoch.

    Raises:
        DataError: The data set is not a concatenation, or a weight is missing, not positive, or so
            small that an epoch has no image of its data set.
    """

    def __init__(
        self,
        dataset: Any,
        weights: Sequence[float] | None = None,
        epoch_length: int | None = None,
        seed: int | None = None,
    ) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        sizes = getattr(dataset, "metainfo", {}).get("sizes")
        if sizes is None:
            raise DataError(
                "WeightedConcatSampler mixes the data sets of a ConcatDataset, but got a "
                f"{type(dataset).__name__}: for a single data set use DefaultSampler."
            )
        self.sizes = list(sizes)
        wanted = len(dataset) if epoch_length is None else epoch_length
        if wanted < 1:
            raise DataError(f"expected an epoch_length of 1 or more images, got {wanted!r}.")
        self.num_samples = math.ceil(wanted / self.world_size)
        weights = _check_weights(self.sizes if weights is None else weights, self.sizes)
        self.counts = apportion(self.num_samples * self.world_size, weights)
        for number, (weight, count, size) in enumerate(
            zip(weights, self.counts, self.sizes, strict=True), 1
        ):
            if size and not count:
                raise DataError(
                    f"weight {number}, {weight:g} of {sum(weights):g}, is less than one of the "
                    f"{sum(self.counts)} images of an epoch: raise it, or remove its data set."
                )

    def __iter__(self) -> Iterator[int]:
        own_indices = self._epoch_order()[self.rank :: self.world_size]
        for chunk in own_indices.split(_CHUNK_SIZE):
            yield from chunk.tolist()

    def __len__(self) -> int:
        """Return the number of images of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def _epoch_order(self) -> Tensor:
        """Return the indices (N,) of the epoch's images, for all processes."""
        parts, offset = [], 0
        for number, (size, count) in enumerate(zip(self.sizes, self.counts, strict=True)):
            parts.append(offset + self._data_set_order(number, size, self.epoch * count, count))
            offset += size
        indices = torch.cat(parts)
        return indices[_permutation(len(indices), _EPOCH_STREAM, self.seed, self.epoch)]

    def _data_set_order(self, number: int, size: int, start: int, count: int) -> Tensor:
        """Return a slice (``count``,) of the infinite order of a data set.

        Args:
            number: Position of the data set in the config.
            size: Number of its images; each permutation of them is one pass.
            start: First position of the slice.
            count: Length of the slice.
        """
        parts = []
        while count:
            shuffle, begin = divmod(start, size)
            order = _permutation(size, _DATA_SET_STREAM, self.seed, number, shuffle)
            parts.append(order[begin : begin + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Divide a number in proportion to weights, in integers (the largest remainder method).

    Args:
        total: The number to divide.
        weights: Non-negative numbers, not all 0.

    Returns:
        An integer per weight, less than one away from its share; their sum is ``total``.
    """
    shares = [total * weight / math.fsum(weights) for weight in weights]
    counts = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda index: counts[index] - shares[index])
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _permutation(count: int, *key: int) -> Tensor:
    """Return a permutation (``count``,) that is a deterministic function of the key."""
    generator = torch.Generator()
    generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
    return torch.randperm(count, generator=generator)


def _check_weights(weights: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """Return the weights, 0 for missing data sets.

    Raises:
        DataError: A weight is missing or not a positive number.
    """
    if len(weights) != len(sizes):
        raise DataError(
            f"expected a weight for each of {len(sizes)} data sets, got {len(weights)}: "
            f"{list(weights)}."
        )
    for weight, size in zip(weights, sizes, strict=True):
        valid = isinstance(weight, (int, float)) and math.isfinite(weight) and weight > 0
        if size and not valid:
            raise DataError(
                f"expected weights above 0, got {list(weights)}; to exclude a data set, remove it "
                "from the list."
            )
    return [weight if size else 0 for weight, size in zip(weights, sizes, strict=True)]
