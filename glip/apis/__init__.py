"""What users call: build a detector, detect in pictures."""

from .det_inferencer import DetInferencer
from .inference import inference_detector, init_detector
from .predictor import Predictor
from .setup import SetupError, UserError, apply_cfg_options, load_config

__all__ = [
    "DetInferencer",
    "Predictor",
    "SetupError",
    "UserError",
    "apply_cfg_options",
    "inference_detector",
    "init_detector",
    "load_config",
]
