"""What users call: build a detector, detect in pictures."""

from glip.apis.build import apply_cfg_options, load_config
from glip.apis.det_inferencer import DetInferencer
from glip.apis.inference import inference_detector, init_detector
from glip.apis.predictor import Predictor
from glip.utils.errors import USER_ERRORS, ConfigError

__all__ = [
    "USER_ERRORS",
    "ConfigError",
    "DetInferencer",
    "Predictor",
    "apply_cfg_options",
    "inference_detector",
    "init_detector",
    "load_config",
]
