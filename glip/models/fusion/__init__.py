"""Deep fusion of image and text: the DyHead tower with cross-attention and text layers."""

from glip.models.fusion.attention import BiAttention, BiAttentionBlock
from glip.models.fusion.dyconv import DyConv, DyReLU
from glip.models.fusion.text_layer import TextLayer
from glip.models.fusion.tower import FusionBlock, FusionTower

__all__ = [
    "BiAttention",
    "BiAttentionBlock",
    "DyConv",
    "DyReLU",
    "FusionBlock",
    "FusionTower",
    "TextLayer",
]
