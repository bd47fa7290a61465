"""Image encoders."""

from glip.models.backbones.swin import SwinTransformer

__all__ = ["SwinTransformer"]
