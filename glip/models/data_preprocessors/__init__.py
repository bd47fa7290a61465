"""Data preprocessors: from decoded images to a batch."""

from glip.models.data_preprocessors.det_data_preprocessor import DetDataPreprocessor

__all__ = ["DetDataPreprocessor"]
