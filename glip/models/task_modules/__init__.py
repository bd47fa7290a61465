"""Parts of the head without weights: anchors, their boxes in training, box coding."""

from glip.models.task_modules.assigners.atss_assigner import ATSSAssigner, InclusiveOverlaps
from glip.models.task_modules.coders.box_coder import InclusiveBoxCoder
from glip.models.task_modules.prior_generators.anchor_generator import AnchorGenerator

__all__ = ["ATSSAssigner", "AnchorGenerator", "InclusiveBoxCoder", "InclusiveOverlaps"]
