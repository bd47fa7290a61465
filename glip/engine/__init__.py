"""The runner with its loops, hooks and optimizer wrappers."""

from glip.engine.evaluation_loops import GLIPTestLoop, ValLoop
from glip.engine.hooks.averaging import EMAHook
from glip.engine.hooks.checkpoint import CheckpointHook, last_checkpoint
from glip.engine.hooks.early_stopping import EarlyStoppingHook
from glip.engine.hooks.invalid_loss import InvalidLossHook
from glip.engine.hooks.logger import LoggerHook
from glip.engine.hooks.visualization import DetVisualizationHook
from glip.engine.log_processor import LogProcessor
from glip.engine.loops import EpochBasedTrainLoop, IterBasedTrainLoop
from glip.engine.optimizers.amp_optim_wrapper import AmpOptimWrapper
from glip.engine.optimizers.optim_wrapper_constructor import DefaultOptimWrapperConstructor
from glip.engine.runner import GLIPRunner
from glip.utils.errors import EvaluationMismatchError, TrainingError

__all__ = [
    "AmpOptimWrapper",
    "CheckpointHook",
    "DefaultOptimWrapperConstructor",
    "DetVisualizationHook",
    "EMAHook",
    "EarlyStoppingHook",
    "EpochBasedTrainLoop",
    "EvaluationMismatchError",
    "GLIPRunner",
    "GLIPTestLoop",
    "InvalidLossHook",
    "IterBasedTrainLoop",
    "LogProcessor",
    "LoggerHook",
    "TrainingError",
    "ValLoop",
    "last_checkpoint",
]
