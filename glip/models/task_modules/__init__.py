"""Parts of the head without weights: anchors, box coding."""

from .anchors import AnchorGenerator
from .box_coder import InclusiveBoxCoder

__all__ = ["AnchorGenerator", "InclusiveBoxCoder"]
