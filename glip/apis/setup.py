"""From a config and a checkpoint to a detector."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from glip.checkpoint import CheckpointError, load_checkpoint
from glip.config import find_config
from glip.datasets.images import ImageReadError
from glip.registry import MODELS
from glip.text import PromptError, TokenizerNotFoundError

#: What a user can mend; command lines print its message without a traceback.
UserError = (
    CheckpointError,
    FileNotFoundError,
    ImageReadError,
    PromptError,
    TokenizerNotFoundError,
)


def load_config(config: str | Path | Config, cfg_options: Mapping | None = None) -> Config:
    """Load a config.

    Args:
        config: a file, the name of a shipped config, or a config, which is copied.
        cfg_options: values to override by dotted name; see :func:`apply_cfg_options`.

    Raises:
        FileNotFoundError: there is no such file and no shipped config of this name.
    """
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
    else:
        path = Path(config)
        cfg = Config.fromfile(path if path.is_file() else find_config(str(config)))
    apply_cfg_options(cfg, cfg_options or {})
    return cfg


def apply_cfg_options(cfg: Config, options: Mapping) -> None:
    """Override values of a config, in place.

    ``lang_model_name`` reaches the language model, as if it had been changed in the file.

    Args:
        cfg: the config.
        options: values by dotted name, for example ``{'model.test_cfg.max_per_img': 300}``.
    """
    cfg.merge_from_dict(dict(options))
    if "lang_model_name" in options:
        cfg.model.language_model.name = options["lang_model_name"]


def build_detector(
    cfg: Config, checkpoint: str | Path | None = None, device: str | torch.device = "cpu"
) -> nn.Module:
    """Build a detector and load its checkpoint.

    The config's scope is entered for the building only.

    Args:
        cfg: its config.
        checkpoint: a file or address in any of the three formats; ``None`` for random weights.
        device: where to put it.

    Returns:
        the detector in evaluation mode, with its config in ``cfg``.

    Raises:
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
        ValueError: the config has no detector, or the device is not there.
    """
    device = check_device(device)
    if "model" not in cfg:
        raise ValueError(
            f"the config {cfg.filename} has no `model`: expected a config of a detector, for "
            "example one of configs/glip"
        )
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")):
        model = MODELS.build(cfg.model)
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    model.cfg = cfg
    return model.to(device).eval()


def check_device(device: str | torch.device) -> torch.device:
    """Return the device.

    Raises:
        ValueError: it is a CUDA device and there is none.
    """
    device = torch.device(device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device {str(device)!r} was asked for, but torch sees no CUDA device here: pass "
            "device='cpu' (on the command line --device cpu)"
        )
    return device


def default_device() -> str:
    """The first CUDA device if there is one, else the CPU."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"
