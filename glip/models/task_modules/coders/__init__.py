"""Box coders."""

from glip.models.task_modules.coders.box_coder import (
    InclusiveBoxCoder,
    clip_inclusive,
    inclusive_to_xyxy,
)

__all__ = ["InclusiveBoxCoder", "clip_inclusive", "inclusive_to_xyxy"]
