"""Metrics, stored predictions and the evaluator of several data sets."""

from glip.evaluation.base_metric import BaseDetMetric, Predictions
from glip.evaluation.cgf1 import cgf1
from glip.evaluation.cgf1_metric import CGF1Metric
from glip.evaluation.coco_metric import CocoMetric
from glip.evaluation.dump import DumpDetResults, write_odinw_submission
from glip.evaluation.flickr30k_metric import Flickr30kMetric
from glip.evaluation.lvis_metric import LVISFixedAPMetric, LVISMetric
from glip.evaluation.multi_datasets_evaluator import MultiDatasetsEvaluator
from glip.evaluation.refexp_metric import RefExpMetric
from glip.evaluation.stored import check_predictions, load_predictions

__all__ = [
    "BaseDetMetric",
    "CGF1Metric",
    "CocoMetric",
    "DumpDetResults",
    "Flickr30kMetric",
    "LVISFixedAPMetric",
    "LVISMetric",
    "MultiDatasetsEvaluator",
    "Predictions",
    "RefExpMetric",
    "cgf1",
    "check_predictions",
    "load_predictions",
    "write_odinw_submission",
]
