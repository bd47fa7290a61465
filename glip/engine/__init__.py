"""The runner, its loops and hooks."""

from glip.visualization.hook import DetVisualizationHook

from .finished import OtherEvaluationError
from .loops import GLIPTestLoop
from .runner import GLIPRunner

__all__ = ["DetVisualizationHook", "GLIPRunner", "GLIPTestLoop", "OtherEvaluationError"]
