"""The detection head."""

from .mmdet_head import ATSSVLFusionHead
from .outputs import HeadOutputs
from .postprocess import PostProcessor
from .vl_fusion_head import VLFusionHead

__all__ = ["ATSSVLFusionHead", "HeadOutputs", "PostProcessor", "VLFusionHead"]
