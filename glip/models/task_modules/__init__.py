"""Parts of the head without parameters: anchor generator, assigner and box coder."""

from glip.models.task_modules.assigners import ATSSAssigner, InclusiveOverlaps
from glip.models.task_modules.coders import InclusiveBoxCoder
from glip.models.task_modules.prior_generators import AnchorGenerator

__all__ = ["ATSSAssigner", "AnchorGenerator", "InclusiveBoxCoder", "InclusiveOverlaps"]
