"""Values of ``--cfg-options``, which are taken as they are written."""

from __future__ import annotations

import argparse
import ast
import math
from collections.abc import Sequence
from typing import Any

from glip.utils.messages import shorten

#: Brackets in brackets that ``--cfg-options`` reads as lists; deeper ones are text.
_MAX_DEPTH = 20
#: Values that are no Python literals, by their names in lower case.
_NAMES = {"true": True, "false": False, "inf": math.inf, "nan": math.nan}


class CfgOptions(argparse.Action):
    """An ``action`` for argparse that collects ``KEY=VALUE ...`` in a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Add the options to those given before."""
        options = dict(getattr(namespace, self.dest) or {})
        for text in values or ():
            key, separator, value = text.partition("=")
            if not separator or not key.strip():
                raise argparse.ArgumentError(self, f"expected key=value ..., got [{shorten(text)}]")
            options[key.strip()] = parse_value(value)
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Parse the value of ``--cfg-options``.

    A Python literal is parsed as such: a number, ``True``, ``None``, a quoted text, a list, tuple
    or dictionary. So are ``true``, ``false``, ``inf`` and ``nan``, also in a list, numbers that are
    separated by commas (a list, as in mmengine), and a list or tuple of unquoted words:
    ``[cat,dog]``. Anything else is the text as it is written, with its spaces.
    """
    try:
        # In parentheses, a comment or a line break is an error instead of being ignored.
        value = ast.literal_eval(_Constants().visit(ast.parse(f"({text})", mode="eval")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _parse_words(text)
    if not text.strip() or not _is_plain(value):
        return text
    is_bare_list = isinstance(value, tuple) and _split_brackets(text.strip()) is None
    return list(value) if is_bare_list else value


class _Constants(ast.NodeTransformer):
    """Read true, false, inf and nan inside lists and dictionaries as the values they name."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the constant of a name, or the name itself."""
        value = _NAMES.get(node.id.lower())
        return node if value is None else ast.copy_location(ast.Constant(value), node)


def _parse_words(text: str) -> Any:
    """Parse a value that is no Python literal."""
    word = text.strip()
    items = _split_brackets(word)
    if items is None or (word[0] == "(" and len(items) == 1):  # "(grey)" is a text
        return text
    values = [parse_value(item.strip()) for item in items if item.strip()]
    return tuple(values) if word[0] == "(" else values


def _split_brackets(text: str) -> list[str] | None:
    """Split ``[a,b]`` or ``(a,b)`` at its commas; ``None`` if the text has another form."""
    closing = {"[": "]", "(": ")", "{": "}"}
    if not text or text[0] == "{" or text[-1] != closing.get(text[0]):
        return None
    items, start = [], 1
    stack: list[str] = []
    for at, char in enumerate(text):
        if char in closing:
            stack.append(closing[char])
            if len(stack) > _MAX_DEPTH:
                return None
        elif char in "])}":
            if not stack or stack.pop() != char or (not stack and at < len(text) - 1):
                return None
        elif char == "," and len(stack) == 1:
            items.append(text[start:at])
            start = at + 1
    return None if stack else [*items, text[start:-1]]


def _is_plain(value: Any) -> bool:
    """Return whether a literal is one that configs contain: no bytes, set, complex number or ..."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(value[key]) for key in value)
    return value is None or isinstance(value, (str, int, float))
