"""What users call: build a detector, detect in pictures."""

from .det_inferencer import DetInferencer
from .inference import inference_detector, init_detector
from .setup import SetupError, UserError, apply_cfg_options, load_config

__all__ = [
    "DetInferencer",
    "SetupError",
    "UserError",
    "apply_cfg_options",
    "inference_detector",
    "init_detector",
    "load_config",
]
