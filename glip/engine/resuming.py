"""Check a checkpoint that a training resumes from, and what differs from its settings."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from glip.checkpoint import read_checkpoint
from glip.engine.hooks.checkpoint import newest_readable
from glip.engine.training_state import check_state
from glip.utils.errors import CheckpointError

#: Settings that a training depends on, by the beginning of their names.
_RELEVANT = (
    *("model", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"),
    *("auto_scale_lr.enable", "custom_hooks", "default_hooks", "find_unused_parameters"),
    *("randomness.deterministic", "randomness.diff_rank_seed"),
)
#: Exceptions, which do not change the weights that a training ends with.
_WITHOUT_EFFECT = (
    *("default_hooks.checkpoint", "default_hooks.logger", "default_hooks.timer"),
    *("default_hooks.visualization", "train_dataloader.num_workers", "model.language_model.name"),
    *("train_dataloader.persistent_workers", "train_dataloader.prefetch_factor"),
    *("train_dataloader.pin_memory", "train_dataloader.timeout", "model.test_cfg"),
    *("train_cfg.val_begin", "train_cfg.val_interval", "train_cfg.dynamic_intervals"),
)
#: Settings whose values are part of the state in the checkpoint, which is used instead.
_IGNORED = ("optim_wrapper.optimizer.", "param_scheduler", "auto_scale_lr.enable")
#: Settings of an optimizer that is built anew; its state does not contain them.
_NOT_IN_THE_STATE = ("optim_wrapper.optimizer.type",)
_MAX_LINES = 30


def read_training_checkpoint(source: str) -> dict[str, Any]:
    """Read a checkpoint that a training can be resumed from.

    Args:
        source: a ``.pth`` file, or an http(s) URL.

    Raises:
        CheckpointError: it cannot be read safely, or has no valid training state.
    """
    try:
        checkpoint = read_checkpoint(source)
    except CheckpointError as error:
        folder = Path(source).parent
        readable = newest_readable(folder, other_than=source) if folder.is_dir() else None
        if readable is None or "could run code" in str(error):
            raise
        raise CheckpointError(
            f"{source} cannot be read; it may be truncated or damaged. The newest readable "
            f"checkpoint beside it is {readable}: resume from it with --resume {readable}"
        ) from error
    meta = checkpoint.get("meta")
    if not isinstance(meta, dict) or not {"epoch", "iter"} <= meta.keys():
        missing = "epoch and iteration"
    elif "message_hub" not in checkpoint or "optimizer" not in checkpoint:
        missing = "optimizer state"
    else:
        check_state(checkpoint, source)
        return checkpoint
    raise CheckpointError(
        f"{source} contains weights but no training state ({missing} missing): start from its "
        "weights with --load-from, or resume from a checkpoint of a training like epoch_1.pth"
    )


def does_not_fit(source: str, reason: str) -> CheckpointError:
    """Return the error of a checkpoint whose training state this training cannot take."""
    return CheckpointError(
        f"the training state of {source} does not fit this training ({reason}): resume with the "
        "config that it was trained with, or start from its weights with --load-from"
    )


def check_averages(ema_model: nn.Module, stored: Mapping[str, Any], source: str) -> None:
    """Check that averaged weights fit; mmengine's ``EMAHook`` skips those that do not.

    Raises:
        CheckpointError: a parameter is missing, unknown or of another shape.
    """
    expected = {name: _shape(value) for name, value in ema_model.state_dict().items()}
    found = {name: _shape(value) for name, value in stored.items()}
    for name in dict.fromkeys([*expected, *found]):
        if str(name).endswith("_extra_state"):  # the tokenizer, which is not averaged
            continue
        if expected.get(name) != found.get(name):
            raise does_not_fit(source, f"the averaged weights (EMA) differ in {str(name)[:100]}")


def check_schedulers(schedulers: Any, stored: Any, source: str) -> None:
    """Check that the states that were loaded into the parameter schedulers were theirs.

    Raises:
        CheckpointError: they are states of other schedulers.
    """
    if not isinstance(schedulers, list):
        return
    if not isinstance(stored, list) or len(stored) != len(schedulers):
        count = len(stored) if isinstance(stored, (list, dict)) else "no"
        reason = f"{count} parameter schedulers then, {len(schedulers)} now"
        raise does_not_fit(source, reason)
    for index, (scheduler, state) in enumerate(zip(schedulers, stored, strict=True)):
        names = {key for key, value in scheduler.state_dict().items() if not callable(value)}
        if names != set(state):
            kind = type(scheduler).__name__
            raise does_not_fit(source, f"param_scheduler[{index}], a {kind}, was another one")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def warn_of_differences(meta: Mapping[str, Any], config: str, data: Mapping[str, Any]) -> str:
    """Return a warning of what is ignored in a resumed training, or changes its result.

    Args:
        meta: of the checkpoint.
        config: the text of the dumped config of the training that resumes.
        data: see :func:`describe_other_data`.

    Returns:
        One line for each setting; empty if there is none.
    """
    then = flatten_settings(meta.get("cfg") or "")
    lines = describe_differences(then, flatten_settings(config)) if then else []
    lines += describe_other_data(meta, data)
    if not lines:
        return ""
    count = f"{len(lines)} setting{'s differ' if len(lines) > 1 else ' differs'}"
    return "\n  ".join([f"{count} from those that it was saved with:", *lines])


def describe_differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Describe the settings that differ from those of a checkpoint and matter, one line each.

    Args:
        then: the settings that the checkpoint was saved with, see :func:`flatten_settings`.
        now: those of the training that resumes from it.
    """
    lines = []
    for name in sorted({*then, *now}):
        before, after = then.get(name, "not set"), now.get(name, "not set")
        if before == after or not name.startswith(_RELEVANT) or name.startswith(_WITHOUT_EFFECT):
            continue
        ignored = name.startswith(_IGNORED) and name not in _NOT_IN_THE_STATE
        effect = "is ignored; the checkpoint's is used" if ignored else "changes the result"
        lines.append(f"{name}: {_shorten(before)} then, {_shorten(after)} now, which {effect}")
    if len(lines) > _MAX_LINES:
        lines[_MAX_LINES:] = [f"... and {len(lines) - _MAX_LINES} more"]
    return lines


def describe_other_data(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe what else differs from the training of a checkpoint, one line each.

    Args:
        then: ``meta`` of the checkpoint.
        now: ``num_processes``, and ``annotations``, digests by file.
    """
    lines = []
    before = then.get("num_processes", now["num_processes"])
    if before != now["num_processes"]:
        lines.append(
            f"number of processes: {_shorten(before)} then, {now['num_processes']} now, which "
            "changes the result"
        )
    digests = then.get("annotations")
    for name, digest in now["annotations"].items():
        if isinstance(digests, dict) and digests.get(name, digest) != digest:
            lines.append(f"the content of {name} has changed, which changes the result")
    return lines


def flatten_settings(config: Any) -> dict[str, str]:
    """Return the settings of a config by dotted name.

    Args:
        config: the text of a dumped config. It is parsed and never run.

    Returns:
        Their values as Python source; empty if the text is not a dumped config.
    """
    try:
        body = ast.parse(config).body
        return {
            name: value
            for node in body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            for name, value in _flatten(node.targets[0].id, node.value)
        }
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return {}


def _flatten(name: str, node: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        items = [(keyword.arg or "", keyword.value) for keyword in node.keywords]
    elif isinstance(node, ast.Dict):
        keys = [ast.unparse(key).strip("'\"") if key else "" for key in node.keys]
        items = list(zip(keys, node.values, strict=True))
    elif isinstance(node, (ast.List, ast.Tuple)) and any(
        isinstance(each, (ast.Call, ast.Dict)) for each in node.elts
    ):
        items = [(str(index), each) for index, each in enumerate(node.elts)]
    else:
        yield name, ast.unparse(node)
        return
    for key, value in items:
        yield from _flatten(f"{name}.{key}", value)


def _shorten(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
