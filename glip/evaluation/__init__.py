"""Metrics, which score predictions, and the evaluators that feed them."""

from .coco_metric import CocoMetric
from .dump import DumpDetResults, load_predictions, write_odinw_submission
from .flickr30k_metric import Flickr30kMetric
from .image_metric import ImageMetric, Predictions
from .lvis_metric import LVISFixedAPMetric, LVISMetric
from .multi_datasets_evaluator import MultiDatasetsEvaluator
from .refexp_metric import RefExpMetric

__all__ = [
    "CocoMetric",
    "DumpDetResults",
    "Flickr30kMetric",
    "ImageMetric",
    "LVISFixedAPMetric",
    "LVISMetric",
    "MultiDatasetsEvaluator",
    "Predictions",
    "RefExpMetric",
    "load_predictions",
    "write_odinw_submission",
]
