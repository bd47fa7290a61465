"""The model, a folder per part of the paper's figure 2."""

from .backbones import SwinTransformer
from .data_preprocessors import DetDataPreprocessor
from .detectors import GLIP
from .heads import ATSSVLFusionHead, VLFusionHead
from .language import BertModel
from .losses import CrossEntropyLoss, FocalLoss, GIoULoss
from .necks import FPN, FPNDropBlock
from .task_modules import AnchorGenerator, ATSSAssigner, InclusiveBoxCoder, InclusiveOverlaps

__all__ = [
    "FPN",
    "GLIP",
    "ATSSAssigner",
    "ATSSVLFusionHead",
    "AnchorGenerator",
    "BertModel",
    "CrossEntropyLoss",
    "DetDataPreprocessor",
    "FPNDropBlock",
    "FocalLoss",
    "GIoULoss",
    "InclusiveBoxCoder",
    "InclusiveOverlaps",
    "SwinTransformer",
    "VLFusionHead",
]
