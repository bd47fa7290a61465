"""The model, a folder per part of the paper's figure 2."""

from glip.models.backbones import SwinTransformer
from glip.models.data_preprocessors import DetDataPreprocessor
from glip.models.detectors import GLIP, EncodedPrompt, TextFeatureCache
from glip.models.heads import VLFusionHead
from glip.models.language import BertModel
from glip.models.losses import CrossEntropyLoss, FocalLoss, GIoULoss
from glip.models.necks import FPN, FPNDropBlock
from glip.models.task_modules import (
    AnchorGenerator,
    ATSSAssigner,
    InclusiveBoxCoder,
    InclusiveOverlaps,
)

__all__ = [
    "FPN",
    "GLIP",
    "ATSSAssigner",
    "AnchorGenerator",
    "BertModel",
    "CrossEntropyLoss",
    "DetDataPreprocessor",
    "EncodedPrompt",
    "FPNDropBlock",
    "FocalLoss",
    "GIoULoss",
    "InclusiveBoxCoder",
    "InclusiveOverlaps",
    "SwinTransformer",
    "TextFeatureCache",
    "VLFusionHead",
]
