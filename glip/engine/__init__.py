"""The runner, its loops and hooks."""

from glip.visualization.hook import DetVisualizationHook

from .finished import OtherEvaluationError
from .logger_hook import LoggerHook
from .loops import GLIPTestLoop
from .runner import GLIPRunner

__all__ = [
    "DetVisualizationHook",
    "GLIPRunner",
    "GLIPTestLoop",
    "LoggerHook",
    "OtherEvaluationError",
]
