"""The runner, its loops and hooks."""

from glip.visualization.hook import DetVisualizationHook

from .constructor import DefaultOptimWrapperConstructor
from .finished import OtherEvaluationError
from .logger_hook import LoggerHook
from .loops import GLIPTestLoop
from .runner import GLIPRunner

__all__ = [
    "DefaultOptimWrapperConstructor",
    "DetVisualizationHook",
    "GLIPRunner",
    "GLIPTestLoop",
    "LoggerHook",
    "OtherEvaluationError",
]
