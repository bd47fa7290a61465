"""What travels between the data pipeline, the model and the metrics."""

from glip.structures.det_data_sample import DetDataSample

__all__ = ["DetDataSample"]
