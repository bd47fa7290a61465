"""Which training images come when, and how they are put into batches."""

from .batch_sampler import AspectRatioBatchSampler
from .weighted_sampler import WeightedConcatSampler

__all__ = ["AspectRatioBatchSampler", "WeightedConcatSampler"]
