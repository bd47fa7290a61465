"""Necks: feature pyramids."""

from glip.models.necks.fpn import FPN, FPNDropBlock

__all__ = ["FPN", "FPNDropBlock"]
