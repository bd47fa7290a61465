"""Checks of the values of options, with one wording: expected, got.

Each check returns the value. ``name`` is what the user wrote, for example
``train_dataloader.batch_size``. A bool does not count as a number, and numbers are finite.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from glip.utils.errors import ConfigError
from glip.utils.messages import shorten, suggest


def check_int(
    name: str, value: Any, *, low: int | None = None, high: int | None = None, none: bool = False
) -> Any:
    """Check an integer.

    Args:
        name: name of the option.
        value: its value.
        low: smallest value.
        high: largest value.
        none: whether ``None`` is allowed.

    Raises:
        ConfigError: it is something else.
    """
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if (none and value is None) or (good and _within(value, low, high)):
        return value
    raise ConfigError(_expected(name, "an integer" + _range(low, high), value, none))


def check_number(
    name: str,
    value: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    positive: bool = False,
    none: bool = False,
) -> Any:
    """Check a finite number.

    Args:
        name: name of the option.
        value: its value.
        low: smallest value.
        high: largest value.
        positive: whether it must be greater than 0.
        none: whether ``None`` is allowed.

    Raises:
        ConfigError: it is something else.
    """
    good = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    good = good and _within(value, low, high) and not (positive and value <= 0)
    if (none and value is None) or good:
        return value
    what = "a finite number greater than 0" if positive else "a finite number" + _range(low, high)
    raise ConfigError(_expected(name, what, value, none))


def check_bool(name: str, value: Any, *, none: bool = False) -> Any:
    """Check a bool; raise ConfigError for anything else."""
    if isinstance(value, bool) or (none and value is None):
        return value
    raise ConfigError(_expected(name, "True or False", value, none))


def check_text(name: str, value: Any, *, none: bool = False) -> Any:
    """Check a non-empty string that UTF-8 can encode; raise ConfigError for anything else."""
    if none and value is None:
        return value
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(_expected(name, "a text", value, none))
    if any("\ud800" <= char <= "\udfff" for char in value):  # of a file name in another encoding
        raise ConfigError(_expected(name, "a text in UTF-8", value, none))
    return value


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """Check that a value is one of some choices; raise ConfigError for anything else."""
    if any(value is each or (type(value) is type(each) and value == each) for each in choices):
        return value
    listed = " or ".join(repr(each) for each in choices)
    raise ConfigError(f"expected {name} as {listed}, got {shorten(value)}")


def check_mapping(name: str, value: Any, *, none: bool = False) -> Any:
    """Check a dictionary; raise ConfigError for anything else."""
    if isinstance(value, Mapping) or (none and value is None):
        return value
    raise ConfigError(_expected(name, "a dictionary (dict(...))", value, none))


def check_keys(name: str, value: Mapping, known: Iterable[str]) -> None:
    """Check that a dictionary has known keys only.

    Args:
        name: name of the dictionary.
        value: the dictionary.
        known: its keys.

    Raises:
        ConfigError: a key is unknown; the message names the nearest known one.
    """
    known = list(known)
    for key in value:
        if key not in known:
            raise ConfigError(f"{name} has no option {shorten(key)}: {suggest(key, known)}")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def _within(value: Any, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of {high} or less"
    return f" of {low} or more" if high is None else f" from {low} to {high}"


def _expected(name: str, what: str, value: Any, none: bool) -> str:
    return f"expected {name} as {what}{' or None' if none else ''}, got {shorten(value)}"
