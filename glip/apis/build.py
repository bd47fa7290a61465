"""Load configs and build detectors."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from os import PathLike
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from glip.apis.cfg_options import (
    check_place,
    replace_copies,
    replace_data_root,
    replace_tokenizer,
    set_caption_prompts,
    set_option,
)
from glip.apis.config_files import import_own_modules, read_config
from glip.apis.pipelines import has_test_pipeline, make_pipeline
from glip.apis.results import default_score_thr
from glip.checkpoint import NoInit, identify, load_checkpoint
from glip.config import find_weights, list_configs
from glip.models import GLIP
from glip.registry import MODELS, check_component
from glip.utils.config_entries import READ, config_name, unread_entries
from glip.utils.errors import ConfigError, GLIPError, foreign_cause, summarize
from glip.utils.messages import shorten, suggest
from glip.utils.options import check_mapping, check_text
from glip.utils.precision import autocast
from glip.weights import is_weights_name

_logger = logging.getLogger("glip")


def load_config(config: str | Path | Config, cfg_options: Mapping | None = None) -> Config:
    """Load a config.

    A config is a Python program, which runs when it is loaded: load only configs that you trust.
    YAML and JSON files are refused, because a config in them could run code too, by naming any
    function as a ``type``, or in ``custom_imports`` or ``_base_``.

    The scope ``mmdet`` becomes ``glip``, where MMDetection's GLIP modules have the same names.

    Args:
        config: a file, the name of a shipped config, or a config, which is copied.
        cfg_options: values to override, by dotted name; see :func:`apply_cfg_options`.

    Raises:
        FileNotFoundError: there is no such file and no shipped config of this name.
        ConfigError: it is no Python file, or cannot be read as a config, or an option does not
            fit it.
    """
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
    elif isinstance(config, (str, PathLike)):
        cfg = read_config(Path(config))
    else:
        raise TypeError(
            "expected the config as a file, the name of a shipped config or a Config, got "
            f"{shorten(config)}"
        )
    apply_cfg_options(cfg, cfg_options or {})
    if cfg.get("default_scope") == "mmdet":
        cfg.default_scope = "glip"
    return cfg


def config_of_weights(weights: str | Path, cfg_options: Mapping | None = None) -> Config:
    """Return the config of a checkpoint, which follows from the checkpoint.

    Args:
        weights: a checkpoint in any of the three formats: a file, a URL, or a name of published
            weights.
        cfg_options: values to override, by dotted name; see :func:`apply_cfg_options`.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is of no shipped model.
        ConfigError: an option does not fit the config.
    """
    match = identify(weights)
    return load_config(match.config, match.options | dict(cfg_options or {}))


def make_detector(
    model: str | Path | Config | GLIP | None,
    weights: str | Path | None,
    device: str | torch.device | None = None,
    cfg_options: Mapping | None = None,
) -> GLIP:
    """Build a detector from a config, from weights, or from both.

    Args:
        model: a config file, the name of a shipped config, a config, a detector, which is returned
            as it is, or ``None`` for the config that the weights belong to.
        weights: a checkpoint in any of the three formats: a file, a URL, or a name of published
            weights. ``None`` with the name of a shipped model: its published weights.
        device: where to run; by default the first CUDA device if there is one.
        cfg_options: config values to override, by dotted name.

    Raises:
        ValueError: neither model nor weights are given.
        CheckpointError: the checkpoint cannot be read safely, or does not fit the config.
        ConfigError: the config has no GLIP, or the device is not available.
    """
    if isinstance(model, GLIP):
        return model
    device = check_device(default_device() if device is None else device)
    if weights is None and isinstance(model, str):
        weights = model if is_weights_name(model) else find_weights(model)
        model = None if is_weights_name(model) and model not in list_configs() else model
    if model is None and weights is None:
        raise ValueError("expected a model (config) or weights (checkpoint), got neither")
    if weights is None:
        _logger.warning("no weights were given: the detector has random weights")
    if model is None:
        return build_detector(config_of_weights(str(weights), cfg_options), weights, device)
    return build_detector(load_config(model, cfg_options), weights, device)


def apply_cfg_options(cfg: Config, options: Mapping) -> None:
    """Override values of a config, in place.

    Some options also change the values that the config computes from them: ``lang_model_name`` the
    language model and every transform with its tokenizer, ``data_root`` every path below it,
    ``use_caption_prompt`` the data sets with caption prompts (also where a config overrides its
    base), ``train_pipeline`` and other variables of the config their copies. An option that nothing
    reads is warned of. ``custom_imports`` imports its modules.

    Args:
        cfg: the config.
        options: values by dotted name, for example ``{'model.test_cfg.max_per_img': 300}``.

    Raises:
        ConfigError: an option does not fit the config.
    """
    if not isinstance(cfg, Config):
        raise TypeError(f"expected a Config to change, got {shorten(cfg)}")
    if not isinstance(options, Mapping):
        raise TypeError(
            "expected cfg_options as a dictionary of values by dotted name, as "
            f"{{'model.test_cfg.max_per_img': 300}}, got {shorten(options)}"
        )
    options = dict(options)
    _check_option_names(cfg, options)
    if "lang_model_name" in options:
        options.setdefault("model.language_model.name", options["lang_model_name"])
    name = "data_root"
    try:
        if "data_root" in options:  # first, so that options of single paths override it
            replace_data_root(cfg, str(options["data_root"]))
        if "lang_model_name" in options:
            replace_tokenizer(cfg, str(options["lang_model_name"]))
        for name in options:
            if name != "data_root":
                check_place(cfg, name, options[name])
                with replace_copies(cfg, name):
                    set_option(cfg, name, options[name])
        set_caption_prompts(cfg)
    except ConfigError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the option {shorten(name)} does not fit {config_name(cfg)} ({summarize(error)})"
        ) from None
    if any(name.partition(".")[0] == "custom_imports" for name in options):
        import_own_modules(cfg)


def _check_option_names(cfg: Config, options: Mapping) -> None:
    """Check that options change something that the config has or that is read somewhere."""
    known = {*cfg, *READ}
    for name in options:
        parts = name.split(".") if isinstance(name, str) else []
        if not parts or not all(part.strip() for part in parts):
            raise ConfigError(f"expected the name of an option as 'a.b.c', got {shorten(name)}")
        if parts[0] not in known:
            raise ConfigError(
                f"{config_name(cfg)} has no option {shorten(parts[0])}: {suggest(parts[0], known)}"
            )


def build_detector(
    cfg: Config, checkpoint: str | Path | None = None, device: str | torch.device = "cpu"
) -> GLIP:
    """Build a detector and load its checkpoint.

    The config's default scope is active during the build only.

    Args:
        cfg: the config.
        checkpoint: a file, URL or name in any of the three formats; ``None`` for random weights.
        device: the detector's device.

    Returns:
        The detector in evaluation mode, with its config as ``cfg``.

    Raises:
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
        ConfigError: the config has no GLIP, or the device is not available.
    """
    device = check_device(device)
    if checkpoint is not None and not isinstance(checkpoint, (str, PathLike)):
        raise TypeError(
            f"expected the checkpoint as a file, a URL or None, got {shorten(checkpoint)}"
        )
    if "model" not in cfg:
        raise ConfigError(f"{config_name(cfg)} has no `model`: {_EXPECTED}")
    _check_inference(cfg)
    start = nullcontext() if checkpoint is None else NoInit()
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "glip"), start:
        try:
            check_component(MODELS, cfg.model, "model")
        except ConfigError as error:
            raise ConfigError(
                f"the model of {config_name(cfg)} cannot be built ({error}): {_EXPECTED}"
            ) from None
        try:
            model = MODELS.build(cfg.model)
        except GLIPError:
            raise
        except Exception as error:  # the model can be anyone's
            raise ConfigError(
                f"the model of {config_name(cfg)} cannot be built ({summarize(error)})"
            ) from foreign_cause(error)
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


def _check_inference(cfg: Config) -> None:
    """Check the entries of a config that inference reads besides the model."""
    check_text("default_scope", cfg.get("default_scope"), none=True)
    check_mapping("visualizer", cfg.get("visualizer"), none=True)
    default_score_thr(cfg)
    if has_test_pipeline(cfg):
        make_pipeline(cfg, from_array=False)  # raises now rather than at the first image
    for text in unread_entries(cfg):
        _logger.warning(text)


_EXPECTED = "expected a config of a GLIP, for example one of configs/glip"


def check_detector(model: object) -> GLIP:
    """Return the detector.

    Raises:
        TypeError: it is something else, for example a file.
    """
    if isinstance(model, GLIP):
        return model
    raise TypeError(
        f"expected a detector of glip.apis.init_detector(config, checkpoint), got {shorten(model)}"
    )


def check_device(device: str | torch.device) -> torch.device:
    """Return the device as a :class:`torch.device`.

    Raises:
        ConfigError: it is not available.
    """
    try:
        device = torch.device(device)
        torch.empty(0, device=device)
        if device.type == "meta":
            raise TypeError("it has shapes, but no values")
    except (AssertionError, RuntimeError, TypeError) as error:
        raise ConfigError(
            f"device {str(device)[:100]!r} cannot be used here ({summarize(error)}): pass another, "
            "for example device='cpu' (on the command line --device cpu)"
        ) from None
    return device


def default_device() -> str:
    """Return the first CUDA device if there is one, else the CPU."""
    return "cuda:0" if torch.cuda.is_available() else "cpu"
