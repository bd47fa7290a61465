"""Checks of the values of a component's options, from which a registry builds it.

The type of an option of this library's components is that of its annotation; elsewhere it is that
of its default. :data:`glip.utils.component_ranges.CHECKS` adds the range.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from glip.utils.component_ranges import CHECKS
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.options import check_bool, check_int, check_number

#: Types of annotations whose values are checked, with the words for a message.
_WORDS = {
    "int": "an integer",
    "float": "a finite number",
    "bool": "True or False",
    "str": "a text",
    "None": "None",
    "dict": "a dictionary (dict(...))",
}


def check_annotated(name: str, value: Any, annotation: object) -> None:
    """Check a value against an annotation that consists of plain types.

    Args:
        name: of the option, for messages.
        value: its value.
        annotation: the text of an annotation, such as ``Sequence[int] | None``; one that names
            other types is not checked.

    Raises:
        ConfigError: the value has another type.
    """
    kinds = _split(annotation) if isinstance(annotation, str) else []
    checks = [_is_type(kind, value) for kind in kinds]
    if not kinds or any(fits is not False for fits in checks):
        return
    expected = " or ".join(map(_describe, kinds))
    raise ConfigError(f"expected {name} as {expected}, got {shorten(value)}")


def check_like_default(name: str, value: Any, parameter: inspect.Parameter) -> None:
    """Check a value against the default of its option, where that is a bool or a number.

    For the options of other libraries, many of which compute with a value of any type.

    Args:
        name: of the option, for messages.
        value: its value.
        parameter: of the constructor.

    Raises:
        ConfigError: the value has another type, or is not finite.
    """
    default, kind = parameter.default, str(parameter.annotation)
    if isinstance(value, (list, tuple, Mapping, str)) and re.search(
        "list|tuple|dict|str|Seq", kind
    ):
        return  # another type that it may have
    can_be_none = re.search("Optional|None", kind) is not None
    if isinstance(default, bool):
        check_bool(name, value, none=can_be_none)
    elif isinstance(default, (int, float)):
        is_int = parameter.annotation in (int, "int")
        check = check_int if is_int else check_number
        check(name, value, none=can_be_none)


def check_range(name: str, value: Any, types: Sequence[str]) -> None:
    """Check a value by the name of its option.

    Args:
        name: of the option, whose last part follows a period.
        value: its value.
        types: names of the component's class and its base classes.

    Raises:
        ConfigError: the value is out of range.
    """
    key = name.rpartition(".")[2]
    for place in (*(f"{each}.{key}" for each in types), key):
        if place in CHECKS:
            CHECKS[place](name, value)
            return


def _split(annotation: str) -> list[str]:
    """Return the alternatives of an annotation; those in brackets stay together."""
    return re.findall(r"(?:\[[^\]]*\]|[^|\[\]])+", annotation.replace(" ", ""))


def _is_type(kind: str, value: Any) -> bool | None:
    """Return whether a value has a type; None for a type that is not known here."""
    if kind == "None":
        return value is None
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "str":
        return isinstance(value, str)
    if kind.partition("[")[0] in ("dict", "Mapping"):
        return isinstance(value, Mapping)
    if kind in ("int", "float"):
        try:
            (check_int if kind == "int" else check_number)(kind, value)
        except ConfigError:
            return False
        return True
    match = re.fullmatch(r"(?:Sequence|list)\[(int|float|str)\]", kind)
    if match is None:
        return None
    return isinstance(value, (list, tuple)) and all(_is_type(match[1], each) for each in value)


def _describe(kind: str) -> str:
    match = re.fullmatch(r"(?:Sequence|list)\[(int|float|str)\]", kind)
    if match:
        return "a list of " + dict(int="integers", float="finite numbers", str="texts")[match[1]]
    return _WORDS["dict" if kind.startswith(("dict", "Mapping")) else kind]
