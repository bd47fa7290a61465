"""Detectors."""

from glip.models.detectors.glip import GLIP

__all__ = ["GLIP"]
