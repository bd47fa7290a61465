"""The steps of a data pipeline, registered in :data:`glip.registry.TRANSFORMS`.

A pipeline for a test image, in a config::

    [
        dict(type="LoadImageFromFile"),
        dict(type="FixScaleResize", scale=(800, 1333)),
        dict(type="PackDetInputs"),
    ]
"""

from .annotations import FilterAnnotations, GTBoxSubOne
from .captions import PackNegativeCaptions
from .flipping import RandomFlip, RandomFlipInclusive
from .loading import LoadAnnotations, LoadImageFromFile, LoadImageFromNDArray
from .packing import PackDetInputs
from .prompts import RandomSamplingNegPos
from .resizing import FixScaleResize, RandomChoiceResize, Resize, official_size

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
    "official_size",
]
