"""The model, a folder per part of the paper's figure 2."""

from .backbones import SwinTransformer
from .data_preprocessors import DetDataPreprocessor
from .detectors import GLIP
from .heads import ATSSVLFusionHead, VLFusionHead
from .language import BertModel
from .necks import FPN, FPNDropBlock
from .task_modules import AnchorGenerator, InclusiveBoxCoder

__all__ = [
    "FPN",
    "GLIP",
    "ATSSVLFusionHead",
    "AnchorGenerator",
    "BertModel",
    "DetDataPreprocessor",
    "FPNDropBlock",
    "InclusiveBoxCoder",
    "SwinTransformer",
    "VLFusionHead",
]
