"""Metrics, which score predictions, and the evaluators that feed them."""

from glip.evaluation.coco_metric import CocoMetric
from glip.evaluation.dump import DumpDetResults, load_predictions, write_odinw_submission
from glip.evaluation.flickr30k_metric import Flickr30kMetric
from glip.evaluation.image_metric import ImageMetric, Predictions
from glip.evaluation.lvis_metric import LVISFixedAPMetric, LVISMetric
from glip.evaluation.multi_datasets_evaluator import MultiDatasetsEvaluator
from glip.evaluation.refexp_metric import RefExpMetric

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
