"""GLIP: detect anything you can name (Grounded Language-Image Pre-training, CVPR 2022)."""

from importlib.util import find_spec

from glip.version import __version__

if find_spec("mmcv") is None:
    raise ImportError(
        "glip needs mmcv, which is not installed. Install the light build with "
        "`pip install mmcv-lite` (enough for everything here), or the full one with "
        "`pip install mmcv` if another OpenMMLab project needs its compiled ops; "
        "never both at once."
    )

from glip.config import get_config, list_configs
from glip.registry import MODELS

__all__ = ["MODELS", "__version__", "get_config", "list_configs"]
