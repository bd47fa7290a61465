"""Necks, between backbone and head."""

from .fpn import FPN, FPNDropBlock

__all__ = ["FPN", "FPNDropBlock"]
