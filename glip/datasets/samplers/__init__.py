"""How training images are put into batches."""

from .batch_sampler import AspectRatioBatchSampler

__all__ = ["AspectRatioBatchSampler"]
