"""The detection head: dense predictions, training losses and post-processing."""

from glip.models.heads.outputs import HeadOutputs
from glip.models.heads.postprocess import PostProcessor
from glip.models.heads.vl_fusion_head import VLFusionHead

__all__ = ["HeadOutputs", "PostProcessor", "VLFusionHead"]
