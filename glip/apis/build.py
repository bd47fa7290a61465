"""Load configs and build detectors."""

from __future__ import annotations

import copy
import logging
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from os import PathLike
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from glip.apis.cfg_options import replace_data_root, replace_tokenizer, set_caption_prompts
from glip.apis.pipelines import has_test_pipeline, make_pipeline
from glip.apis.results import default_score_thr
from glip.checkpoint import NoInit, identify, load_checkpoint
from glip.config import find_config, find_weights, list_configs
from glip.models import GLIP
from glip.registry import MODELS, check_component
from glip.utils.config_entries import READ, config_name, unread_entries
from glip.utils.errors import ConfigError, GLIPError, foreign_cause, summarize
from glip.utils.messages import shorten, suggest
from glip.utils.options import check_mapping, check_text
from glip.utils.precision import autocast
from glip.utils.regular_files import file_problem
from glip.weights import is_weights_name

_logger = logging.getLogger("glip")

#: mmengine also reads these as configs, with a YAML loader that calls any function.
_DATA_EXTENSIONS = (".yml", ".yaml", ".json")


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
        cfg = _read_config(Path(config))
    else:
        raise TypeError(
            "expected the config as a file, the name of a shipped config or a Config, got "
            f"{shorten(config)}"
        )
    apply_cfg_options(cfg, cfg_options or {})
    if cfg.get("default_scope") == "mmdet":
        cfg.default_scope = "glip"
    return cfg


def _read_config(path: Path) -> Config:
    if path.suffix.lower() in CHECKPOINT_EXTENSIONS:
        raise ConfigError(
            f"{shorten(str(path))} is a checkpoint, and a config is expected first: pass the "
            "config, then the checkpoint; DetInferencer(weights=...) finds the config of a "
            "checkpoint that names it"
        )
    problem = file_problem(path)
    if problem == "does not exist":
        path = find_config(str(path))
    elif problem:
        raise ConfigError(f"the config {path} {problem}: expected a Python file")
    elif path.suffix.lower() in _DATA_EXTENSIONS:
        raise ConfigError(
            f"{path} cannot be read as a config ({path.suffix[1:].upper()} files could run code "
            "too, unseen): expected a Python file as in configs/glip. A config is a program: load "
            "only those that you trust"
        )
    try:
        _check_bases(path)
        return Config.fromfile(path)
    except ConfigError:
        raise
    except SyntaxError as error:  # of the file itself or of one of its bases
        place = f" in line {error.lineno}" if error.lineno else ""
        raise ConfigError(
            f"{path} cannot be read as a config (SyntaxError{place}: {error.msg}): expected a "
            "Python file as in configs/glip"
        ) from None
    except Exception as error:  # a config is a program, which can fail in any way
        raise ConfigError(
            f"{path} cannot be read as a config ({summarize(error)}{_line_of(error, path)}): "
            "expected a Python file as in configs/glip"
        ) from None


def _check_bases(path: Path) -> None:
    """Check that a config inherits from Python files only; mmengine would run a YAML file's code.

    Raises:
        ConfigError: a base, or a base of a base, is another file.
    """
    try:
        names = Config._get_base_files(str(path))
        bases = {name: Path(Config._get_cfg_path(name, str(path))[0]) for name in names}
    except Exception:  # of a config that cannot be loaded; loading it says what is wrong
        return
    for base, file in bases.items():
        if file.suffix.lower() in _DATA_EXTENSIONS:
            raise ConfigError(
                f"{path} cannot be read as a config (its _base_ {shorten(base)} is a "
                f"{file.suffix[1:].upper()} file, which could run code unseen): expected Python "
                "files as in configs/glip"
            )
        if file.is_file():  # if not, loading it says so
            _check_bases(file)


def _line_of(error: BaseException, path: Path) -> str:
    """Return the line of a config at which it failed, `` in line 3``, if it is known."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path or frame.filename == "<string>"
    ]
    return f" in line {lines[-1]}" if lines else ""


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
    base).

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
                cfg.merge_from_dict({name: options[name]})
        set_caption_prompts(cfg)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the option {shorten(name)} does not fit {config_name(cfg)} ({summarize(error)})"
        ) from None


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


#: File extensions of checkpoints.
CHECKPOINT_EXTENSIONS = (".pth", ".pt", ".safetensors", ".ckpt", ".bin")


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
