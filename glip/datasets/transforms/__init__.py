"""The transforms of data pipelines, registered in :data:`glip.registry.TRANSFORMS`.

A pipeline for a test image, in a config::

    [
        dict(type="LoadImageFromFile"),
        dict(type="FixScaleResize", scale=(800, 1333)),
        dict(type="PackDetInputs"),
    ]
"""

from glip.datasets.transforms.annotations import FilterAnnotations, GTBoxSubOne
from glip.datasets.transforms.captions import PackNegativeCaptions
from glip.datasets.transforms.flipping import RandomFlip, RandomFlipInclusive
from glip.datasets.transforms.formatting import PackDetInputs
from glip.datasets.transforms.loading import (
    LoadAnnotations,
    LoadImageFromFile,
    LoadImageFromNDArray,
)
from glip.datasets.transforms.prompts import RandomSamplingNegPos
from glip.datasets.transforms.resizing import (
    FixScaleResize,
    RandomChoiceResize,
    Resize,
    official_size,
)
from glip.datasets.transforms.test_time_aug import TestTimeAug

__all__ = [
    "FilterAnnotations",
    "FixScaleResize",
    "GTBoxSubOne",
    "LoadAnnotations",
    "LoadImageFromFile",
    "LoadImageFromNDArray",
    "PackDetInputs",
    "PackNegativeCaptions",
    "RandomChoiceResize",
    "RandomFlip",
    "RandomFlipInclusive",
    "RandomSamplingNegPos",
    "Resize",
    "TestTimeAug",
    "official_size",
]
