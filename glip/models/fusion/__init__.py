"""Deep fusion of image and text: the DyHead tower with cross-attention and text layers."""

from .attention import BiAttentionBlock
from .deform_conv import modulated_deform_conv
from .dyconv import DyConv, DyReLU
from .text_layer import TextLayer
from .tower import FusionTower

__all__ = [
    "BiAttentionBlock",
    "DyConv",
    "DyReLU",
    "FusionTower",
    "TextLayer",
    "modulated_deform_conv",
]
