"""The runner and the hooks."""

from glip.visualization.hook import DetVisualizationHook

from .runner import GLIPRunner

__all__ = ["DetVisualizationHook", "GLIPRunner"]
