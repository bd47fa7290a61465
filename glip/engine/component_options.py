"""Checks of components of a config before the data and the model are built.

Most constructors are quick, so that the components themselves say what they refuse: they are built
from their configs and discarded.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from mmengine.registry import Registry
from mmengine.utils import ManagerMixin

from glip.registry import check_component
from glip.utils.errors import AnnotationFileError, ConfigError, GLIPError, summarize
from glip.utils.messages import shorten
from glip.utils.options import (
    check_bool,
    check_choice,
    check_int,
    check_mapping,
    check_number,
    check_text,
)


def check_built(
    registry: Registry,
    cfg: Any,
    name: str,
    *,
    given: Mapping[str, Any] | None = None,
    optional: Collection[str] = (),
) -> None:
    """Check a component's config, by building it if its class is known to be quick and harmless.

    Args:
        registry: the registry that builds it.
        cfg: its config.
        name: its place in the config.
        given: arguments that whoever builds it adds.
        optional: further options of the config that whoever builds it removes.

    Raises:
        ConfigError: the type or an option is unknown or invalid.
    """
    if isinstance(cfg, Mapping):
        cfg = {key: value for key, value in cfg.items() if key not in optional}
    given = given or {}
    kind = check_component(registry, cfg, name, given=tuple(given))
    check_values(name, cfg)
    if not str(getattr(kind, "__module__", "")).startswith(
        ("glip.", "mmengine.", "mmcv.", "torch")
    ):
        return
    if inspect.isclass(kind) and issubclass(kind, ManagerMixin):  # kept by its name
        return
    try:
        registry.build(copy.deepcopy({**cfg}), default_args={**given})
    except (AnnotationFileError, ImportError):
        # No matter of options: whoever uses the file or the package says what is missing, or skips
        # it, as an evaluation skips data sets that do not exist.
        return
    except GLIPError as error:
        raise ConfigError(f"{name}: {error}") from None
    except Exception as error:
        reason = " ".join(summarize(error).split())
        raise ConfigError(f"{name} of type {_type_name(cfg)} is refused ({reason})") from None


def _type_name(cfg: Mapping) -> str:
    kind = cfg.get("type")
    return kind if isinstance(kind, str) else getattr(kind, "__name__", shorten(kind))


def check_values(name: str, cfg: Mapping) -> None:
    """Check the values of the options that many components share, by the names of the options.

    Args:
        name: place of the component in the config.
        cfg: the config of the component.

    Raises:
        ConfigError: a value is invalid.
    """
    for key, value in cfg.items():
        check = _CHECKS.get(f"{_type_name(cfg)}.{key}") or _CHECKS.get(key)
        if check is not None:
            check(f"{name}.{key}", value)


def _int(low: int | None = None, *, none: bool = False) -> Callable[[str, Any], Any]:
    return lambda name, value: check_int(name, value, low=low, none=none)


def _number(
    low: float | None = None, high: float | None = None, *, none: bool = False
) -> Callable[[str, Any], Any]:
    return lambda name, value: check_number(name, value, low=low, high=high, none=none)


def _positive(name: str, value: Any) -> None:
    check_number(name, value, positive=True)


def _steps(name: str, value: Any) -> None:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"expected {name} as a list of integers, got {shorten(value)}")
    for each in value:
        check_int(name, each, low=0)
    if list(value) != sorted(value):
        raise ConfigError(f"expected {name} in ascending order, got {shorten(value)}")


def _interval(name: str, value: Any) -> None:
    """Check an interval of checkpoints; -1 means none."""
    if value != -1:
        check_int(name, value, low=1)


#: By ``Type.option``, or by the option of any type.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    # data
    "times": _int(1),
    "test_mode": check_bool,
    "serialize_data": check_bool,
    "return_classes": check_bool,
    "max_refetch": _int(0),
    "max_unreadable": _number(0),
    "metainfo": lambda name, value: check_mapping(name, value, none=True),
    "data_prefix": lambda name, value: check_mapping(name, value, none=True),
    "filter_cfg": lambda name, value: check_mapping(name, value, none=True),
    "shuffle": check_bool,
    "round_up": check_bool,
    # optimizers
    "lr": _number(0),
    "weight_decay": _number(0),
    "momentum": _number(0),
    # schedulers
    "begin": _int(0),
    "end": _int(1, none=True),
    "by_epoch": check_bool,
    "milestones": _steps,
    "step_size": _int(1),
    "T_max": _positive,
    "gamma": _number(0),
    # hooks
    "LoggerHook.interval": _int(1),
    "DetVisualizationHook.interval": _int(1),
    "DetVisualizationHook.score_thr": _number(0, 1),
    "DetVisualizationHook.wait_time": _number(0),
    "DetVisualizationHook.draw": check_bool,
    "DetVisualizationHook.show": check_bool,
    "CheckpointHook.interval": _interval,
    "CheckpointHook.max_keep_ckpts": _int(-1),
    "CheckpointHook.save_optimizer": check_bool,
    "EarlyStoppingHook.monitor": check_text,
    "EarlyStoppingHook.patience": _int(1),
    "EarlyStoppingHook.min_delta": _number(0),
    "EarlyStoppingHook.stopping_threshold": _number(none=True),
    "EMAHook.momentum": _number(0, 1),
    "EMAHook.interval": _int(1),
    "EMAHook.begin_iter": _int(0),
    "EMAHook.begin_epoch": _int(0),
    "rule": lambda name, value: (
        isinstance(value, list) or check_choice(name, value, ("greater", "less", None))
    ),
    # loops
    "max_epochs": _int(1),
    "max_iters": _int(1),
    "val_interval": _int(1),
    "val_begin": _int(0),
    "fp16": check_bool,
    # log lines
    "window_size": _int(1),
}
