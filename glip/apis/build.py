"""Load configs and build detectors."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from glip.apis.cfg_options import replace_data_root, replace_tokenizer, set_caption_prompts
from glip.checkpoint import NoInit, load_checkpoint
from glip.config import find_config
from glip.models import GLIP
from glip.registry import MODELS
from glip.utils.errors import ConfigError, summarize
from glip.utils.precision import autocast


def load_config(config: str | Path | Config, cfg_options: Mapping | None = None) -> Config:
    """Load a config.

    The scope ``mmdet`` becomes ``glip``, where MMDetection's GLIP modules have the same names.

    Args:
        config: a file, the name of a shipped config, or a config, which is copied.
        cfg_options: values to override, by dotted name; see :func:`apply_cfg_options`.

    Raises:
        FileNotFoundError: there is no such file and no shipped config of this name.
        ConfigError: the file cannot be read as a config, or an option does not fit it.
    """
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
    else:
        path = Path(config)
        path = path if path.is_file() else find_config(str(config))
        try:
            cfg = Config.fromfile(path)
        except Exception as error:  # a config is a program, which can fail in any way
            raise ConfigError(
                f"{path} cannot be read as a config ({summarize(error)}): expected a Python file "
                "as in configs/glip"
            ) from error
    apply_cfg_options(cfg, cfg_options or {})
    if cfg.get("default_scope") == "mmdet":
        cfg.default_scope = "glip"
    return cfg


def apply_cfg_options(cfg: Config, options: Mapping) -> None:
    """Override values of a config, in place.

    Some options also change the values that the config computes from them: ``lang_model_name`` the
    language model and every transform with its tokenizer, ``data_root`` every path below it,
    ``use_caption_prompt`` the data sets with caption prompts (also where a config overrides its
    base).

    Args:
        cfg: the config.
        options: values by dotted name, for example ``{'model.test_cfg.max_per_img': 300}``.

    Raises:
        ConfigError: an option does not fit the config.
    """
    options = dict(options)
    if "lang_model_name" in options:
        options.setdefault("model.language_model.name", options["lang_model_name"])
    try:
        if "data_root" in options:  # first, so that options of single paths override it
            replace_data_root(cfg, str(options["data_root"]))
        if "lang_model_name" in options:
            replace_tokenizer(cfg, str(options["lang_model_name"]))
        cfg.merge_from_dict({key: options[key] for key in options if key != "data_root"})
        set_caption_prompts(cfg)
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the options {options} do not fit {config_name(cfg)} ({summarize(error)})"
        ) from error


def build_detector(
    cfg: Config, checkpoint: str | Path | None = None, device: str | torch.device = "cpu"
) -> GLIP:
    """Build a detector and load its checkpoint.

    The config's default scope is active during the build only.

    Args:
        cfg: the config.
        checkpoint: a file or URL in any of the three formats; ``None`` for random weights.
        device: the detector's device.

    Returns:
        The detector in evaluation mode, with its config as ``cfg``.

    Raises:
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
        ConfigError: the config has no GLIP, or the device is not available.
    """
    device = check_device(device)
    if "model" not in cfg:
        raise ConfigError(f"{config_name(cfg)} has no `model`: {_EXPECTED}")
    start = nullcontext() if checkpoint is None else NoInit()
    try:
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "glip")), start:
            model = MODELS.build(cfg.model)
    except Exception as error:  # modules of other projects can raise anything
        raise ConfigError(
            f"the model of {config_name(cfg)} cannot be built ({summarize(error)}): {_EXPECTED}"
        ) from error
    if not isinstance(model, GLIP):
        raise ConfigError(
            f"the model of {config_name(cfg)} is a {type(model).__name__}: {_EXPECTED}"
        )
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    model.cfg = cfg
    model = model.to(device).eval()
    autocast(model.amp, device)  # raises now rather than at the first image
    return model


_EXPECTED = "expected a config of a GLIP, for example one of configs/glip"


def config_name(cfg: Config) -> str:
    """Return the name of a config for messages."""
    return f"the config {cfg.filename}" if cfg.filename else "the config"


def check_device(device: str | torch.device) -> torch.device:
    """Return the device as a :class:`torch.device`.

    Raises:
        ConfigError: it is not available.
    """
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ConfigError(
            f"device {str(device)!r} cannot be used here ({summarize(error)}): pass another, "
            "for example device='cpu' (on the command line --device cpu)"
        ) from error
    return device


def default_device() -> str:
    """Return the first CUDA device if there is one, else the CPU."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"
