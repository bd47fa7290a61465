"""Samplers: the order of the training images, and how they are grouped into batches."""

from glip.datasets.samplers.batch_sampler import AspectRatioBatchSampler
from glip.datasets.samplers.weighted_sampler import WeightedConcatSampler

__all__ = ["AspectRatioBatchSampler", "WeightedConcatSampler"]
