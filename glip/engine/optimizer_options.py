"""Options of the optimizer and of its schedules: checked before anything is built."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from glip.engine.component_options import check_built
from glip.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    check_component,
    find_type,
)
from glip.utils.errors import ConfigError
from glip.utils.options import (
    check_bool,
    check_choice,
    check_int,
    check_keys,
    check_mapping,
    check_number,
)

#: Options of ``paramwise_cfg`` that mmengine reads; it ignores others.
_PARAMWISE = (
    *("custom_keys", "bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "flat_decay_mult"),
    *("dwconv_decay_mult", "dcn_offset_lr_mult", "bypass_duplicate"),
)


def check_optim_wrapper(wrapper: Any) -> Any:
    """Check the config of the optimizer and its wrapper.

    Args:
        wrapper: the config, ``optim_wrapper``.

    Returns:
        An optimizer like it, of one parameter; ``None`` if there are several, or if the
        constructor is the user's own.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
    """
    check_mapping("optim_wrapper", wrapper)
    constructor = wrapper.get("constructor")
    if constructor is not None:
        kind = find_type(OPTIM_WRAPPER_CONSTRUCTORS, constructor, "optim_wrapper.constructor")
        if not kind.__module__.startswith(("glip.", "mmengine.")):
            return None  # it may read anything
    _check_paramwise(wrapper.get("paramwise_cfg"))
    optimizer = wrapper.get("optimizer")
    if isinstance(optimizer, torch.optim.Optimizer):
        return None
    if optimizer is None:
        if "type" in wrapper or not all(isinstance(w, OptimWrapper) for w in wrapper.values()):
            raise ConfigError(
                "optim_wrapper has no optimizer: add optimizer=dict(type=..., lr=...)"
            )
        return None
    parameters = [nn.Parameter(torch.zeros(1))]
    built = check_built(
        OPTIMIZERS,
        optimizer,
        "optim_wrapper.optimizer",
        given=dict(params=parameters),
        of_any_module=True,
    )
    if built is None:  # its package is missing, which its build says
        return None
    _check_groups(wrapper.get("paramwise_cfg"), built)
    check_int("optim_wrapper.accumulative_counts", wrapper.get("accumulative_counts", 1), low=1)
    _check_clipping(wrapper.get("clip_grad"))
    rest = {key: value for key, value in wrapper.items() if key != "optimizer"}
    check_built(
        OPTIM_WRAPPERS,
        {"type": "OptimWrapper", **rest},
        "optim_wrapper",
        given=dict(optimizer=built),
        optional=("constructor", "paramwise_cfg"),
    )
    return built


def _check_paramwise(paramwise: Any) -> None:
    name = "optim_wrapper.paramwise_cfg"
    check_mapping(name, paramwise, none=True)
    check_keys(name, paramwise or {}, _PARAMWISE)
    for key, value in (paramwise or {}).items():
        if key.endswith("_mult"):
            check_number(f"{name}.{key}", value, low=0)
    check_bool(f"{name}.bypass_duplicate", (paramwise or {}).get("bypass_duplicate", False))
    custom = check_mapping(f"{name}.custom_keys", (paramwise or {}).get("custom_keys"), none=True)
    for key, options in (custom or {}).items():
        check_mapping(f"{name}.custom_keys[{key!r}]", options)
        for option, value in options.items():
            if option in ("lr_mult", "decay_mult"):
                check_number(f"{name}.custom_keys[{key!r}].{option}", value, low=0)


def _check_groups(paramwise: Any, optimizer: torch.optim.Optimizer) -> None:
    """Check that parameters get only options that their optimizer has."""
    for key, options in ((paramwise or {}).get("custom_keys") or {}).items():
        name = f"optim_wrapper.paramwise_cfg.custom_keys[{key!r}]"
        check_keys(name, options, ("lr_mult", "decay_mult", *optimizer.defaults))


def _check_clipping(clipping: Any) -> None:
    check_mapping("optim_wrapper.clip_grad", clipping, none=True)
    if not clipping:
        return
    by_norm = clipping.get("type", "norm") == "norm"
    check_choice("optim_wrapper.clip_grad.type", clipping.get("type", "norm"), ("norm", "value"))
    limit = "max_norm" if by_norm else "clip_value"
    options = ("norm_type", "error_if_nonfinite", "foreach") if by_norm else ("foreach",)
    check_keys("optim_wrapper.clip_grad", clipping, ("type", limit, *options))
    check_number(f"optim_wrapper.clip_grad.{limit}", clipping.get(limit), positive=True)
    if clipping.get("norm_type", 2) not in ("inf", math.inf):
        check_number("optim_wrapper.clip_grad.norm_type", clipping.get("norm_type", 2), low=0)


def check_schedulers(name: str, schedulers: Any, optimizer: Any) -> None:
    """Check the configs of parameter schedulers.

    Args:
        name: their place in the config, ``param_scheduler``.
        schedulers: the configs, or the schedulers.
        optimizer: what :func:`check_optim_wrapper` returned.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
    """
    if schedulers is None:
        return
    several = isinstance(schedulers, Sequence) and not isinstance(schedulers, str)
    for index, scheduler in enumerate(schedulers if several else [schedulers]):
        place = f"{name}.{index}" if several else name
        if hasattr(scheduler, "step") and not isinstance(scheduler, Mapping):
            continue  # an object
        if isinstance(scheduler, Mapping) and scheduler.get("convert_to_iter_based"):
            check_bool(f"{place}.convert_to_iter_based", scheduler["convert_to_iter_based"])
            if not scheduler.get("by_epoch", True):
                raise ConfigError(
                    f"{place} counts iterations (by_epoch=False), so that nothing is to convert: "
                    "remove convert_to_iter_based"
                )
        if optimizer is None:
            check_component(PARAM_SCHEDULERS, scheduler, place, given=("optimizer",))
            continue
        removed = ("convert_to_iter_based", "epoch_length")
        check_built(
            PARAM_SCHEDULERS, scheduler, place, given=dict(optimizer=optimizer), optional=removed
        )
        end = scheduler.get("end")
        if end is not None and end <= scheduler.get("begin", 0):
            raise ConfigError(f"expected {place}.end after its begin, got {end}")
