"""Data sets and the transforms that prepare them.

The names are imported on first use: the converters read and write the files of data sets without
torch. The registries import the modules themselves.
"""

from typing import TYPE_CHECKING

from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, DataError
from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.datasets.base import BaseDetDataset
    from glip.datasets.coco import CocoDataset
    from glip.datasets.flickr30k import Flickr30kDataset
    from glip.datasets.lvis import LVISV1Dataset
    from glip.datasets.odvg.dataset import ODVGDataset
    from glip.datasets.refexp import MDETRStyleRefCocoDataset
    from glip.datasets.samplers import AspectRatioBatchSampler, WeightedConcatSampler
    from glip.datasets.wrappers import ConcatDataset, leaf_datasets
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.datasets.base": ("BaseDetDataset",),
            "glip.datasets.coco": ("CocoDataset",),
            "glip.datasets.flickr30k": ("Flickr30kDataset",),
            "glip.datasets.lvis": ("LVISV1Dataset",),
            "glip.datasets.odvg.dataset": ("ODVGDataset",),
            "glip.datasets.refexp": ("MDETRStyleRefCocoDataset",),
            "glip.datasets.samplers": ("AspectRatioBatchSampler", "WeightedConcatSampler"),
            "glip.datasets.wrappers": ("ConcatDataset", "leaf_datasets"),
        },
    )

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
    "leaf_datasets",
]
