"""The runner, its loops and hooks."""

from glip.visualization.hook import DetVisualizationHook

from .loops import GLIPTestLoop
from .runner import GLIPRunner

__all__ = ["DetVisualizationHook", "GLIPRunner", "GLIPTestLoop"]
