"""A config that caches its text, because a runner formats it four times."""

from __future__ import annotations

from mmengine.config import Config


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
            cached = content, super().pretty_text
            # Config's own __setattr__ would add an entry to the config.
            object.__setattr__(self, "_cached_text", cached)
        return cached[1]
