"""Data sets and the transforms that prepare them."""

from glip.datasets import transforms
from glip.datasets.base import BaseDetDataset
from glip.datasets.coco import CocoDataset
from glip.datasets.flickr30k import Flickr30kDataset
from glip.datasets.lvis import LVISV1Dataset
from glip.datasets.odvg import ODVGDataset
from glip.datasets.refexp import MDETRStyleRefCocoDataset
from glip.datasets.samplers import AspectRatioBatchSampler, WeightedConcatSampler
from glip.datasets.wrappers import ConcatDataset
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, DataError

__all__ = [
    "AnnotationFileError",
    "AnnotationFileNotFoundError",
    "AspectRatioBatchSampler",
    "BaseDetDataset",
    "CocoDataset",
    "ConcatDataset",
    "DataError",
    "Flickr30kDataset",
    "LVISV1Dataset",
    "MDETRStyleRefCocoDataset",
    "ODVGDataset",
    "WeightedConcatSampler",
    "transforms",
]
