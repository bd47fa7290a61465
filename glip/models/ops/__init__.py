"""Operators of the fusion tower: deformable convolution and bi-directional attention.

Each has a plain form, which follows its formula, and a fused form, which computes the same faster
and in less memory. :func:`set_fused_ops` or ``GLIP_FUSED_OPS=0`` in the environment chooses.
"""

from glip.models.ops.bi_attention import bidirectional_attention
from glip.models.ops.deform_conv import modulated_deform_conv
from glip.models.ops.fused_ops import set_fused_ops, use_fused_ops

__all__ = ["bidirectional_attention", "modulated_deform_conv", "set_fused_ops", "use_fused_ops"]
