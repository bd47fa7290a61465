"""Check the state of a training in a checkpoint before the runner and its hooks read it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from glip.utils.errors import CheckpointError
from glip.utils.messages import shorten

#: No training has more epochs, iterations or steps of an optimizer.
_MAX_COUNT = 10**9
#: Tensors of an optimizer that have the shape of their parameter.
_LIKE_PARAMETER = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg")


def check_state(checkpoint: Mapping[str, Any], source: str) -> None:
    """Check the types and the ranges of what mmengine's runner and hooks read from a checkpoint.

    Args:
        checkpoint: what was read; it has ``meta``, ``message_hub`` and ``optimizer``.
        source: its file, for messages.

    Raises:
        CheckpointError: a value is wrong.
    """
    meta = checkpoint["meta"]
    counts = ("epoch", "iter", "batches_done", "batches_per_epoch")
    for name in [name for name in counts if name in meta]:
        if not _is_count(meta[name]):
            raise _damaged(source, f"meta[{name!r}]", "an integer of 0 or more", meta[name])
    batches = meta.get("batches_per_epoch")
    if batches is not None and meta.get("batches_done", 0) > batches:
        expected = f"at most batches_per_epoch, {batches}"
        raise _damaged(source, "meta['batches_done']", expected, meta["batches_done"])
    seed = meta.get("seed")
    if seed is not None and (not isinstance(seed, int) or not 0 <= seed < 2**32):
        raise _damaged(source, "meta['seed']", "an integer from 0 to 2**32 - 1", seed)
    for name in ("optimizer", "message_hub", "gradients", "ema_state_dict"):
        value = checkpoint.get(name, {})
        if not isinstance(value, dict):
            raise _damaged(source, repr(name), "a dict", value)
    _check_hub(checkpoint["message_hub"], source)
    # Before its first step an optimizer has no averages: gradients are still accumulated, or the
    # loss scaler of float16 has skipped the steps so far.
    has_stepped = meta["iter"] > 0 and not checkpoint.get("gradients")
    for name, state in _states("optimizer", checkpoint["optimizer"], source):
        _check_optimizer(name, state, has_stepped and not state.get("loss_scaler"), source)
    schedulers = checkpoint.get("param_schedulers", [])
    if not isinstance(schedulers, (list, dict)):
        raise _damaged(source, "'param_schedulers'", "a list", schedulers)
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    for state in [each for group in groups for each in group]:
        _check_scheduler(state, source)


def check_shapes(optimizer: torch.optim.Optimizer, source: str) -> None:
    """Check that the state that was loaded into an optimizer is that of its parameters.

    Raises:
        CheckpointError: it is the state of another optimizer, or a tensor has another shape.
    """
    for group in optimizer.param_groups:
        for name in optimizer.defaults:
            if name not in group:
                expected = f"those of {type(optimizer).__name__}, with {name}"
                raise _damaged(source, "the optimizer's options", expected, sorted(group))
    for parameter, state in optimizer.state.items():
        for name in _LIKE_PARAMETER:
            value = state.get(name, parameter)
            if value is not None and getattr(value, "shape", None) != parameter.shape:
                expected = f"a tensor of shape {tuple(parameter.shape)}"
                raise _damaged(source, f"the optimizer's {name}", expected, value)


def _check_hub(hub: Mapping[str, Any], source: str) -> None:
    for name in ("log_scalars", "runtime_info", "resumed_keys"):
        if not isinstance(hub.get(name, {}), Mapping):
            raise _damaged(source, f"message_hub[{name!r}]", "a dict", hub[name])
    info = hub.get("runtime_info", {})
    kept = info.get("keep_ckpt_ids", [])
    if not isinstance(kept, list) or not all(isinstance(each, int) for each in kept):
        raise _damaged(source, "keep_ckpt_ids", "a list of integers", kept)
    outdated = info.get("outdated_ckpt_ids", [])
    if not isinstance(outdated, list):
        raise _damaged(source, "outdated_ckpt_ids", "a list of integers", outdated)


def _states(name: str, state: Mapping, source: str) -> Iterator[tuple[str, Mapping]]:
    """Yield the states of one optimizer, or of several by name."""
    if "param_groups" in state:
        yield name, state
        return
    if not state or not all(isinstance(each, Mapping) for each in state.values()):
        raise _damaged(source, repr(name), "a dict with 'state' and 'param_groups'", state)
    for key, each in state.items():
        if key not in ("base_param_settings",):
            yield from _states(f"{name}.{key}", each, source)


def _check_optimizer(name: str, optimizer: Mapping, has_stepped: bool, source: str) -> None:
    groups, state = optimizer["param_groups"], optimizer.get("state")
    if not isinstance(groups, list) or not all(isinstance(each, Mapping) for each in groups):
        raise _damaged(source, f"{name}.param_groups", "a list of dicts", groups)
    if not isinstance(state, Mapping):
        raise _damaged(source, f"{name}.state", "a dict", state)
    for group in groups:
        for key in ("lr", "initial_lr", "weight_decay"):
            if key in group and not _is_number(group[key], low=0):
                raise _damaged(source, f"the {key} of {name}", "a number of 0 or more", group[key])
    averages = any("betas" in group or group.get("momentum") for group in groups)
    if averages and has_stepped and not state:
        raise _damaged(source, f"{name}.state", "the averages of the gradients", state)
    for values in state.values():
        if not isinstance(values, Mapping):
            raise _damaged(source, f"{name}.state", "a dict of dicts", values)
        for key, value in values.items():
            if key == "step" and not _is_number(value, low=0, high=_MAX_COUNT):
                raise _damaged(source, f"a step of {name}", "a number of 0 or more", value)
            if isinstance(value, Tensor) and not torch.isfinite(value).all():
                raise _damaged(source, f"{key} of {name}", "finite numbers", "NaN or Inf")


def _check_scheduler(state: Any, source: str) -> None:
    if not isinstance(state, Mapping):
        raise _damaged(source, "'param_schedulers'", "a list of dicts", state)
    for key in ("last_step", "_global_step"):
        if key in state and state[key] != -1 and not _is_count(state[key]):  # -1: not stepped yet
            raise _damaged(source, f"{key} of a scheduler", "an integer of -1 or more", state[key])
    values = state.get("base_values", [0])
    is_list = isinstance(values, Sequence) and not isinstance(values, str) and len(values)
    if not is_list or not all(_is_number(each) for each in values):
        raise _damaged(source, "base_values of a scheduler", "finite numbers", values)


def _is_count(value: Any) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return is_int and 0 <= value <= _MAX_COUNT


def _is_number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and low <= value <= high


def _damaged(source: str, name: str, expected: str, value: Any) -> CheckpointError:
    return CheckpointError(
        f"{source} has an invalid training state: expected {name} to be {expected}, got "
        f"{shorten(value, 80)}. Resume from another checkpoint, or start from its weights with "
        "--load-from"
    )
