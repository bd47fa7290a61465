"""Deep fusion of image and text: the DyHead tower with cross-attention and text layers."""

from glip.models.fusion.attention import BiAttentionBlock
from glip.models.fusion.dyconv import DyConv, DyReLU
from glip.models.fusion.text_layer import TextLayer
from glip.models.fusion.tower import FusionTower
from glip.models.ops.deform_conv import modulated_deform_conv

__all__ = [
    "BiAttentionBlock",
    "DyConv",
    "DyReLU",
    "FusionTower",
    "TextLayer",
    "modulated_deform_conv",
]
