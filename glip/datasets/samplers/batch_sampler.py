"""Batches of pictures that have about the same shape."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch.utils.data import BatchSampler, Sampler

from glip.datasets.wrappers import image_size
from glip.registry import DATA_SAMPLERS
from glip.utils.errors import DataError


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(BatchSampler):
    """Put upright pictures together, and wide ones, so that less of a batch is padding.

    A picture waits until its batch is full. When the sampler ends, the pictures that still wait
    fill the last batches together, upright ones first. So every process makes as many batches as
    without grouping, and what they are follows from the order of the sampler alone: nothing is
    drawn here, and nothing is kept from one pass to the next.

    Pictures whose annotation file does not say their size count as wide.

    Args:
        sampler: gives indices of ``sampler.dataset``; mmengine's ``DefaultSampler`` or
            ``InfiniteSampler``, for example.
        batch_size: pictures in a batch.
        drop_last: leave out a last batch that is not full.

    Raises:
        DataError: ``batch_size`` is no number of 1 or more, or the sampler has no data set that
            tells the size of its pictures.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool = False) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"expected a batch_size of 1 or more, got {batch_size!r}.")
        if not hasattr(getattr(sampler, "dataset", None), "get_data_info"):
            raise DataError(
                "AspectRatioBatchSampler asks sampler.dataset.get_data_info(index) for the size of "
                f"a picture, and a {type(sampler).__name__} has no such data set. Use "
                "DefaultSampler or InfiniteSampler, and a data set of this library."
            )
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        # Local, so that a pass that was left half way leaves nothing to the next one.
        waiting: dict[bool, list[int]] = {True: [], False: []}
        for index in self.sampler:
            group = waiting[self._is_upright(index)]
            group.append(index)
            if len(group) == self.batch_size:
                yield group.copy()
                group.clear()
        rest = waiting[True] + waiting[False]
        for start in range(0, len(rest), self.batch_size):
            batch = rest[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        """Return the number of batches of a pass."""
        batches = len(self.sampler) / self.batch_size  # type: ignore[arg-type]
        return math.floor(batches) if self.drop_last else math.ceil(batches)

    def _is_upright(self, index: int) -> bool:
        width, height = image_size(self.sampler.dataset, index)  # type: ignore[attr-defined]
        return width < height
