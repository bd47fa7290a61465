"""Several data sets, of which an epoch has as much as their weights say."""

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

#: Orders of an epoch and orders of a data set are drawn from different numbers.
_OF_AN_EPOCH, _OF_A_DATA_SET = 0, 1
#: So many indices become Python's numbers at a time: all at once take gigabytes of memory.
_AT_A_TIME = 2**16


@DATA_SAMPLERS.register_module()
class WeightedConcatSampler(Sampler):
    """Mix the data sets of a ``ConcatDataset`` by weight.

    Of an epoch of N images, weight / sum of weights are from each data set, to within one image.
    Each is gone through in an order of its own: where an epoch leaves it, the next one goes on,
    and only when it is at its end it begins anew in another order. So a large data set with a small
    weight is seen whole after some epochs, and of a small one with a large weight no image comes
    much more often than another.

    The order follows from the seed and the epoch alone, so a training that is resumed needs no more
    than these, also in the middle of an epoch. The processes share it out: together they go
    through it once.

    Args:
        dataset: a ``ConcatDataset``, one of this library's.
        weights: a number above 0 for each data set, in the order of its config, of any sum: only
            their ratios count. By default the numbers of images, so that an epoch goes through all
            once.
        epoch_length: N, of all processes together; by default as many as the data sets have images.
            It becomes a multiple of the number of processes.
        seed: the same in all processes; by default one is drawn.

    Attributes:
        counts: how many images of an epoch are from each data set.

    Raises:
        DataError: the data set is none of several, or a weight is no number above 0, is missing,
            or so small that an epoch has no image of its data set.
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
        self.sizes = _sizes(dataset)
        wanted = len(dataset) if epoch_length is None else epoch_length
        if wanted < 1:
            raise DataError(f"expected an epoch_length of 1 or more images, got {wanted!r}.")
        self.num_samples = math.ceil(wanted / self.world_size)
        weights = _checked(self.sizes if weights is None else weights, self.sizes)
        self.counts = share_out(self.num_samples * self.world_size, weights)
        for at, (weight, count, size) in enumerate(
            zip(weights, self.counts, self.sizes, strict=True)
        ):
            if size and not count:
                raise DataError(
                    f"weight {at + 1}, {weight:g} of {sum(weights):g}, is less than one of the "
                    f"{sum(self.counts)} images of an epoch: raise it, or leave its data set out."
                )

    def __iter__(self) -> Iterator[int]:
        mine = self._order()[self.rank :: self.world_size]
        for part in mine.split(_AT_A_TIME):
            yield from part.tolist()

    def __len__(self) -> int:
        """Return the number of images of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch is next."""
        self.epoch = epoch

    def _order(self) -> Tensor:
        """The indices (N,) of the epoch's images, for all processes."""
        parts, offset = [], 0
        for place, (size, count) in enumerate(zip(self.sizes, self.counts, strict=True)):
            parts.append(offset + self._stretch(place, size, self.epoch * count, count))
            offset += size
        together = torch.cat(parts)
        return together[_shuffled(len(together), _OF_AN_EPOCH, self.seed, self.epoch)]

    def _stretch(self, place: int, size: int, start: int, count: int) -> Tensor:
        """A stretch (``count``,) of the endless order in which a data set is gone through."""
        parts = []
        while count:
            number, begin = divmod(start, size)
            order = _shuffled(size, _OF_A_DATA_SET, self.seed, place, number)
            parts.append(order[begin : begin + count])
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def share_out(total: int, weights: Sequence[float]) -> list[int]:
    """Share a number out by weight, in whole numbers.

    Args:
        total: what to share out.
        weights: numbers of 0 or more, not all 0.

    Returns:
        a number for each weight, at most one away from its share; together ``total``.
    """
    shares = [total * weight / math.fsum(weights) for weight in weights]
    counts = [math.floor(share) for share in shares]
    # The ones that are left go to where most was cut off, to the first of equals.
    order = sorted(range(len(shares)), key=lambda at: counts[at] - shares[at])
    for at in order[: total - sum(counts)]:
        counts[at] += 1
    return counts


def _shuffled(count: int, *key: int) -> Tensor:
    """The numbers (``count``,) from 0 in an order that follows from the key."""
    generator = torch.Generator()
    generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
    return torch.randperm(count, generator=generator)


def _sizes(dataset: Any) -> list[int]:
    sizes = getattr(dataset, "metainfo", {}).get("sizes")
    if sizes is None:
        raise DataError(
            "WeightedConcatSampler mixes the data sets of a ConcatDataset, but got a "
            f"{type(dataset).__name__}: for a single data set use DefaultSampler."
        )
    return list(sizes)


def _checked(weights: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """The weights, 0 for data sets that are absent."""
    if len(weights) != len(sizes):
        raise DataError(
            f"expected a weight for each of {len(sizes)} data sets, got {len(weights)}: "
            f"{list(weights)}."
        )
    for weight, size in zip(weights, sizes, strict=True):
        good = isinstance(weight, (int, float)) and math.isfinite(weight) and weight > 0
        if size and not good:
            raise DataError(
                f"expected weights above 0, got {list(weights)}; to leave a data set out, take it "
                "out of the list."
            )
    return [weight if size else 0 for weight, size in zip(weights, sizes, strict=True)]
