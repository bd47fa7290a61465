"""The user's API: build a detector, detect objects in images."""

from typing import TYPE_CHECKING

from glip.utils.errors import USER_ERRORS, ConfigError
from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.apis.build import apply_cfg_options, load_config
    from glip.apis.det_inferencer import DetInferencer
    from glip.apis.inference import inference_detector, init_detector
    from glip.apis.predictor import Predictor
    from glip.apis.streaming import stream
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.apis.build": ("apply_cfg_options", "load_config"),
            "glip.apis.det_inferencer": ("DetInferencer",),
            "glip.apis.inference": ("inference_detector", "init_detector"),
            "glip.apis.predictor": ("Predictor",),
            "glip.apis.streaming": ("stream",),
        },
    )

__all__ = [
    "USER_ERRORS",
    "ConfigError",
    "DetInferencer",
    "Predictor",
    "apply_cfg_options",
    "inference_detector",
    "init_detector",
    "load_config",
    "stream",
]
