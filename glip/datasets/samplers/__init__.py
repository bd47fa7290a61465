"""Which training images come when, and how they are put into batches."""

from glip.datasets.samplers.batch_sampler import AspectRatioBatchSampler
from glip.datasets.samplers.weighted_sampler import WeightedConcatSampler

__all__ = ["AspectRatioBatchSampler", "WeightedConcatSampler"]
