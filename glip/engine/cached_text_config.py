"""A config that caches its text, because a runner formats it four times."""

from __future__ import annotations

import math
from typing import Any

from mmengine.config import Config

#: Entries of a list or dictionary up to which yapf formats it; of 100,000 it takes minutes.
_MAX_FORMATTED = 200


class CachedTextConfig(Config):
    """A config that formats its text only after a change.

    mmengine's runner formats the config with yapf for the log, two files and the message hub,
    which takes seconds each time for a config of several data sets.
    """

    @classmethod
    def from_config(cls, cfg: Config) -> CachedTextConfig:
        """Return a config that shares the content of ``cfg``."""
        cached = cls.__new__(cls)
        cached.__setstate__(cfg.__getstate__())
        return cached

    @property
    def pretty_text(self) -> str:
        """The config as Python code."""
        content = str(self._cfg_dict)
        cached: tuple[str, str] | None = self.__dict__.get("_cached_text")
        if cached is None or cached[0] != content:
            long: list[str] = []
            shortened = _shorten(self.to_dict(), long)
            if long:
                text = Config(shortened, format_python_code=self._format_python_code).pretty_text
                for index, value in enumerate(long):
                    text = text.replace(repr(_marker(index)), value, 1)
            else:
                text = super().pretty_text
            cached = content, text
            # Config's own __setattr__ would add an entry to the config.
            object.__setattr__(self, "_cached_text", cached)
        return cached[1]


def _shorten(node: Any, long: list[str]) -> Any:
    """Replace the long lists and dictionaries of a config by markers.

    Args:
        node: the config, or a part of it.
        long: the source code of those that were replaced is appended.
    """
    if not isinstance(node, (dict, list, tuple)):
        return node
    if len(node) > _MAX_FORMATTED and _is_plain(node):
        long.append(repr(node))
        return _marker(len(long) - 1)
    if isinstance(node, dict):
        return {key: _shorten(value, long) for key, value in node.items()}
    return type(node)(_shorten(value, long) for value in node)


def _marker(index: int) -> str:
    return f"<long list {index}>"


def _is_plain(node: Any) -> bool:
    """Return whether the ``repr`` of a value is its source code."""
    if isinstance(node, dict):
        return all(isinstance(key, str) and _is_plain(value) for key, value in node.items())
    if isinstance(node, (list, tuple)):
        return all(map(_is_plain, node))
    if isinstance(node, float):
        return math.isfinite(node)
    return node is None or isinstance(node, (str, int))
