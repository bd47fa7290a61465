"""Extension of mkdocstrings' reader: write the references of docstrings as code.

Docstrings refer to names as in ``:func:`~glip.apis.init_detector```, which Markdown does not know.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|data|exc|func|meth|mod|attr):`(~?)([^`]+)`")


class Roles(griffe.Extension):
    """Replace roles by code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:  # noqa: ARG002
        """Rewrite the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_code, obj.docstring.value)


def _code(match: re.Match[str]) -> str:
    shortened, name = match.groups()
    return f"`{name.rpartition('.')[2] if shortened else name}`"
