"""The runner and the hooks."""

from glip.visualization.hook import DetVisualizationHook

__all__ = ["DetVisualizationHook"]
