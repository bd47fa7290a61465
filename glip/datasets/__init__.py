"""Data sets and the transforms that prepare them."""

from . import transforms
from .annotation_file import AnnotationFileError, AnnotationFileNotFoundError, DataError
from .base import BaseDetDataset
from .coco import CocoDataset
from .flickr30k import Flickr30kDataset
from .lvis import LVISV1Dataset
from .odvg import ODVGDataset
from .refexp import MDETRStyleRefCocoDataset
from .samplers import AspectRatioBatchSampler
from .wrappers import ConcatDataset

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
    "transforms",
]
