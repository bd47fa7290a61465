"""The detection head."""

from glip.models.heads.mmdet_head import ATSSVLFusionHead
from glip.models.heads.outputs import HeadOutputs
from glip.models.heads.postprocess import PostProcessor
from glip.models.heads.vl_fusion_head import VLFusionHead

__all__ = ["ATSSVLFusionHead", "HeadOutputs", "PostProcessor", "VLFusionHead"]
