"""Parts of the head without weights: anchors, their boxes in training, box coding."""

from .anchors import AnchorGenerator
from .atss_assigner import ATSSAssigner, InclusiveOverlaps
from .box_coder import InclusiveBoxCoder

__all__ = ["ATSSAssigner", "AnchorGenerator", "InclusiveBoxCoder", "InclusiveOverlaps"]
