"""Check the options of a config before a runner builds data and model from it.

Each problem is one error that names the option, what is expected and what was found.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from mmengine.evaluator import Evaluator as BaseEvaluator
from mmengine.hooks import EMAHook, Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.runner import BaseLoop, Priority
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.visualization import Visualizer
from torch import nn

from glip.engine.component_options import check_built
from glip.engine.data_loader_options import check_data_loader, is_infinite
from glip.engine.optimizer_options import check_optim_wrapper, check_schedulers
from glip.models.options import check_test_cfg
from glip.registry import (
    EVALUATOR,
    HOOKS,
    LOG_PROCESSORS,
    LOOPS,
    METRICS,
    MODELS,
    VISBACKENDS,
    VISUALIZERS,
    check_component,
    find_type,
)
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten, suggest
from glip.utils.options import (
    check_bool,
    check_choice,
    check_int,
    check_keys,
    check_mapping,
    check_text,
)

_ENVIRONMENT = ("cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit")
#: Entries of a config that a runner needs together, and what for.
_PARTS = {
    "training": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "validation": ("val_dataloader", "val_cfg", "val_evaluator"),
    "testing": ("test_dataloader", "test_cfg", "test_evaluator"),
}
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NOTSET", "WARN", "FATAL")


def check_options(cfg: Mapping) -> None:
    """Check a config that a runner gets.

    Args:
        cfg: the arguments of the runner; missing ones are not checked.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    scope = cfg.get("default_scope") or "mmengine"
    check_text("default_scope", scope)
    if scope not in ("glip", "mmengine") and find_spec(scope.partition(".")[0]) is None:
        raise ConfigError(
            f"there is no package {shorten(scope)} for default_scope: "
            f"{suggest(scope, ('glip', 'mmengine'))}"
        )
    with DefaultScope.overwrite_default_scope(scope):
        _check_parts(cfg)
        _check_run(cfg)
        _check_training(cfg)
        _check_hooks(cfg)
        _check_visualizer(cfg.get("visualizer"))
        _check_model(cfg.get("model"))
        for split in ("train", "val", "test"):
            if cfg.get(f"{split}_evaluator") is not None:
                check_evaluator(f"{split}_evaluator", cfg[f"{split}_evaluator"])
            if cfg.get(f"{split}_dataloader") is not None:
                check_data_loader(f"{split}_dataloader", cfg[f"{split}_dataloader"])


def _check_parts(cfg: Mapping) -> None:
    """Check that the entries of training, validation and testing are all there, or all missing."""
    for part, names in _PARTS.items():
        given = [name for name in names if cfg.get(name) is not None]
        missing = [name for name in names if name not in given]
        if given and missing:
            raise ConfigError(
                f"the config has {' and '.join(given)} but no {' and no '.join(missing)}: {part} "
                "needs all three; set all three to None to disable it"
            )


def _check_run(cfg: Mapping) -> None:
    randomness = check_mapping("randomness", cfg.get("randomness"), none=True) or {}
    check_keys("randomness", randomness, ("seed", "diff_rank_seed", "deterministic"))
    check_int("randomness.seed", randomness.get("seed"), low=0, high=2**32 - 1, none=True)
    for key in ("diff_rank_seed", "deterministic"):
        check_bool(f"randomness.{key}", randomness.get(key, False))
    level = cfg.get("log_level", "INFO")
    if type(level) is not int or level not in range(0, 51, 10):
        check_choice("log_level", level, _LOG_LEVELS)
    check_bool("find_unused_parameters", cfg.get("find_unused_parameters"), none=True)
    if not isinstance(cfg.get("compile"), Mapping):
        check_bool("compile", cfg.get("compile"), none=True)
    if cfg.get("launcher") is not None:
        check_choice("launcher", cfg["launcher"], ("none", "pytorch", "slurm", "mpi"))
    check_text("work_dir", cfg.get("work_dir"), none=True)
    check_text("experiment_name", cfg.get("experiment_name"), none=True)
    check_text("load_from", cfg.get("load_from"), none=True)
    check_bool("resume", cfg.get("resume", False))
    processor = cfg.get("log_processor")
    if isinstance(processor, Mapping):
        check_built(LOG_PROCESSORS, {"type": "LogProcessor", **processor}, "log_processor")
    elif isinstance(processor, (str, int, float, list)):
        check_mapping("log_processor", processor)
    env = check_mapping("env_cfg", cfg.get("env_cfg"), none=True) or {}
    check_keys("env_cfg", env, _ENVIRONMENT)
    check_bool("env_cfg.cudnn_benchmark", env.get("cudnn_benchmark"), none=True)
    check_int("env_cfg.resource_limit", env.get("resource_limit"), low=1, none=True)
    for key in ("mp_cfg", "dist_cfg"):
        check_mapping(f"env_cfg.{key}", env.get(key), none=True)
    method = (env.get("mp_cfg") or {}).get("mp_start_method", "fork")
    check_choice("env_cfg.mp_cfg.mp_start_method", method, ("fork", "spawn", "forkserver"))
    check_keys("env_cfg.mp_cfg", env.get("mp_cfg") or {}, ("mp_start_method", "opencv_num_threads"))
    scaling = check_mapping("auto_scale_lr", cfg.get("auto_scale_lr"), none=True) or {}
    check_keys("auto_scale_lr", scaling, ("enable", "base_batch_size"))
    check_bool("auto_scale_lr.enable", scaling.get("enable"), none=True)
    base = check_int("auto_scale_lr.base_batch_size", scaling.get("base_batch_size"), none=True)
    if base is None and scaling.get("enable"):
        raise ConfigError(
            "auto_scale_lr needs the batch size that the learning rate is for: add base_batch_size"
        )
    check_int("auto_scale_lr.base_batch_size", base, low=1, none=True)


def _check_training(cfg: Mapping) -> None:
    for split in ("train", "val", "test"):
        loop = cfg.get(f"{split}_cfg")
        if isinstance(loop, BaseLoop) or loop is None:
            continue
        check_mapping(f"{split}_cfg", loop)
        loader = cfg.get("train_dataloader") if split == "train" else None
        sampler = loader.get("sampler") if isinstance(loader, Mapping) else None
        _check_loop(f"{split}_cfg", loop, sampler if isinstance(sampler, Mapping) else None)
    wrapper = cfg.get("optim_wrapper")
    optimizer = None
    if wrapper is not None and not isinstance(wrapper, OptimWrapper):
        optimizer = check_optim_wrapper(wrapper)
    schedulers = cfg.get("param_scheduler")
    if isinstance(schedulers, Mapping) and "type" not in schedulers:  # of several optimizers
        groups = {f"param_scheduler.{key}": value for key, value in schedulers.items()}
    else:
        groups = {"param_scheduler": schedulers}
    for name, group in groups.items():
        check_schedulers(name, group, optimizer)


def _check_loop(name: str, loop: Mapping, sampler: Any = None) -> None:
    loop = dict(loop)
    split = name.partition("_")[0]
    if split == "train" and "type" not in loop:
        if "by_epoch" not in loop:
            raise ConfigError(
                f"{name} has no type: add type='EpochBasedTrainLoop' with max_epochs or "
                "type='IterBasedTrainLoop' with max_iters"
            )
        by_epoch = check_bool(f"{name}.by_epoch", loop.pop("by_epoch"))
        loop["type"] = "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop"
    loop.setdefault("type", f"{split.title()}Loop")
    kind = check_component(LOOPS, loop, name, given=("runner", "dataloader", "evaluator"))
    by_epoch = isinstance(kind, type) and issubclass(kind, MMEngineEpochBasedTrainLoop)
    if by_epoch and sampler and is_infinite(sampler, "train_dataloader.sampler"):
        raise ConfigError(
            "train_dataloader.sampler never ends, so that there is no second epoch: expected "
            "type='DefaultSampler', or train_cfg=dict(type='IterBasedTrainLoop', max_iters=...)"
        )
    pairs = loop.get("dynamic_intervals") or ()
    for pair in pairs if isinstance(pairs, Sequence) else [pairs]:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise ConfigError(
                f"expected {name}.dynamic_intervals as pairs (begin, interval), got {shorten(pair)}"
            )
        check_int(f"{name}.dynamic_intervals", pair[0], low=0)
        check_int(f"{name}.dynamic_intervals", pair[1], low=1)


def _check_hooks(cfg: Mapping) -> None:
    hooks = check_mapping("default_hooks", cfg.get("default_hooks"), none=True) or {}
    places = {f"default_hooks.{key}": hook for key, hook in hooks.items() if hook is not None}
    custom = cfg.get("custom_hooks") or []
    if isinstance(custom, (Mapping, str)) or not isinstance(custom, Sequence):
        raise ConfigError(
            f"expected custom_hooks as a list of dict(type=...), got {shorten(custom)}"
        )
    places |= {f"custom_hooks.{index}": hook for index, hook in enumerate(custom)}
    averaging = ""
    for place, hook in places.items():
        if isinstance(hook, Hook):
            continue
        check_built(HOOKS, hook, place, optional=("priority",))
        priority = hook.get("priority", "NORMAL")
        if type(priority) is not int or priority not in range(101):
            check_choice(f"{place}.priority", priority, [each.name for each in Priority])
        kind = find_type(HOOKS, hook["type"], place)
        if isinstance(kind, type) and issubclass(kind, EMAHook):
            _check_averaging(kind, hook, place)
            if averaging:
                raise ConfigError(
                    f"{averaging} and {place} both average the weights, and a checkpoint has one "
                    "average: remove one of them"
                )
            averaging = place


def _check_averaging(kind: type, hook: Mapping, place: str) -> None:
    """Check the options that ``EMAHook`` passes to the averaged model."""
    own = (*inspect.signature(kind).parameters, "type", "priority")
    options = {key: value for key, value in hook.items() if key not in own}
    averaged = hook.get("ema_type", "ExponentialMovingAverage")
    check_built(MODELS, {"type": averaged, **options}, place, given=dict(model=nn.Linear(1, 1)))


def _check_visualizer(visualizer: Any) -> None:
    if visualizer is None or isinstance(visualizer, Visualizer):
        return
    check_component(VISUALIZERS, visualizer, "visualizer", given=("name", "save_dir"))
    backends = visualizer.get("vis_backends") or []
    for index, backend in enumerate([backends] if isinstance(backends, Mapping) else backends):
        if isinstance(backend, (Mapping, str, int)):
            place = f"visualizer.vis_backends.{index}"
            check_component(VISBACKENDS, backend, place, given=("save_dir",))


def _check_model(model: Any) -> None:
    if model is None or isinstance(model, nn.Module):
        return
    kind = check_component(MODELS, model, "model")
    if not getattr(kind, "__module__", "").startswith("glip."):
        return
    for part in ("backbone", "neck", "language_model", "bbox_head", "data_preprocessor"):
        if model.get(part) is not None:
            check_component(MODELS, model[part], f"model.{part}")
    if "test_cfg" in model:
        check_test_cfg(model["test_cfg"])


def check_evaluator(name: str, evaluator: Any) -> None:
    """Check the config of an evaluator and of its metrics.

    Args:
        name: its place in the config, for example ``test_evaluator``.
        evaluator: the config, or an evaluator.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
    """
    if isinstance(evaluator, BaseEvaluator):
        return
    if isinstance(evaluator, Mapping) and "metrics" in evaluator:
        check_component(EVALUATOR, {"type": "Evaluator", **evaluator}, name)
        metrics, name = evaluator["metrics"], f"{name}.metrics"
    else:
        metrics = evaluator
    several = isinstance(metrics, Sequence) and not isinstance(metrics, str)
    if several and not metrics:
        raise ConfigError(f"expected {name} as one or more metrics, dict(type=...), got {metrics}")
    for index, metric in enumerate(metrics if several else [metrics]):
        if isinstance(metric, (Mapping, str, int, float, type(None))):
            check_built(METRICS, metric, f"{name}.{index}" if several else name)
