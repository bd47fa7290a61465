"""Batches of images with similar aspect ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch.utils.data import BatchSampler, Sampler

from glip.datasets.wrappers import get_image_size
from glip.registry import DATA_SAMPLERS
from glip.utils.errors import DataError


@DATA_SAMPLERS.register_module()
class AspectRatioBatchSampler(BatchSampler):
    """Group portrait images and landscape images, so that batches need less padding.

    An image waits until the batch of its group is full. When the sampler ends, the remaining images
    fill the last batches together, portrait ones first. Every process therefore gets as many
    batches as without grouping, and the batches are a deterministic function of the sampler's
    order: there is no randomness here, and no state is kept between epochs.

    Images of unknown size count as landscape.

    Args:
        sampler: Yields indices of ``sampler.dataset``, for example mmengine's ``DefaultSampler`` or
            ``InfiniteSampler``.
        batch_size: Number of images in a batch.
        drop_last: Drop an incomplete last batch.

    Raises:
        DataError: ``batch_size`` is not a positive integer, or the sampler has no data set that
            gives the sizes of its images.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool = False) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise DataError(f"expected a batch_size of 1 or more, got {batch_size!r}.")
        self._dataset = getattr(sampler, "dataset", None)
        if not hasattr(self._dataset, "get_data_info"):
            raise DataError(
                "AspectRatioBatchSampler reads image sizes from "
                "sampler.dataset.get_data_info(index), but a "
                f"{type(sampler).__name__} has no such data set. Use DefaultSampler or "
                "InfiniteSampler, and a data set of this library."
            )
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        # Local, so that an unfinished epoch leaves nothing to the next one.
        groups: dict[bool, list[int]] = {True: [], False: []}  # portrait, landscape
        for index in self.sampler:
            width, height = get_image_size(self._dataset, index)
            group = groups[width < height]
            group.append(index)
            if len(group) == self.batch_size:
                yield group.copy()
                group.clear()
        rest = groups[True] + groups[False]
        for start in range(0, len(rest), self.batch_size):
            batch = rest[start : start + self.batch_size]
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        batches = len(self.sampler) / self.batch_size  # type: ignore[arg-type]
        return math.floor(batches) if self.drop_last else math.ceil(batches)
