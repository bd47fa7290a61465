"""Assigners of annotated boxes to anchors."""

from glip.models.task_modules.assigners.atss_assigner import ATSSAssigner, InclusiveOverlaps

__all__ = ["ATSSAssigner", "InclusiveOverlaps"]
