"""The data sample, which the pipeline, the model and the metrics share."""

from glip.structures.det_data_sample import META_KEYS, DetDataSample

__all__ = ["META_KEYS", "DetDataSample"]
