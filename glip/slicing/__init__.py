"""Slicing of large images: the grid of slices, reading them, merging their detections."""

from glip.slicing.grid import Slicing, Window, slice_windows

__all__ = ["Slicing", "Window", "slice_windows"]
