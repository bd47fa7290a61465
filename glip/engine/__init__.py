"""The runner, its loops and hooks."""

from glip.visualization.hook import DetVisualizationHook

from .amp import AmpOptimWrapper
from .checkpoint_hook import CheckpointHook, last_checkpoint
from .constructor import DefaultOptimWrapperConstructor
from .early_stopping_hook import EarlyStoppingHook
from .errors import TrainingError
from .finished import OtherEvaluationError
from .invalid_loss_hook import InvalidLossHook
from .log_processor import LogProcessor
from .logger_hook import LoggerHook
from .loops import GLIPTestLoop
from .runner import GLIPRunner
from .train_loops import EpochBasedTrainLoop, IterBasedTrainLoop

__all__ = [
    "AmpOptimWrapper",
    "CheckpointHook",
    "DefaultOptimWrapperConstructor",
    "DetVisualizationHook",
    "EarlyStoppingHook",
    "EpochBasedTrainLoop",
    "GLIPRunner",
    "GLIPTestLoop",
    "InvalidLossHook",
    "IterBasedTrainLoop",
    "LogProcessor",
    "LoggerHook",
    "OtherEvaluationError",
    "TrainingError",
    "last_checkpoint",
]
