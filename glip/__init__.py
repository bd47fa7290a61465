"""GLIP: detect anything you can name (Grounded Language-Image Pre-training, CVPR 2022)."""

from typing import TYPE_CHECKING

from glip.utils.lazy import lazy_names
from glip.version import __version__

if TYPE_CHECKING:
    from glip.config import get_config, list_configs
    from glip.registry import MODELS
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {"glip.config": ("get_config", "list_configs"), "glip.registry": ("MODELS",)},
    )

__all__ = ["MODELS", "__version__", "get_config", "list_configs"]
