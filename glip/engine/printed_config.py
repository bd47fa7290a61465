"""A config whose text is made once."""

from __future__ import annotations

from mmengine.config import Config


class PrintedConfig(Config):
    """A config that formats its text anew only when it was changed.

    A runner asks for the text four times before it begins (for the log, two files and the message
    hub), and mmengine formats it with yapf each time, which takes seconds for a config of several
    data sets.
    """

    @classmethod
    def of(cls, cfg: Config) -> PrintedConfig:
        """Return the same config, its content shared."""
        printed = cls.__new__(cls)
        printed.__setstate__(cfg.__getstate__())
        return printed

    @property
    def pretty_text(self) -> str:
        """The whole config as Python."""
        content = str(self._cfg_dict)
        known: tuple[str, str] | None = self.__dict__.get("_printed")
        if known is None or known[0] != content:
            known = content, super().pretty_text
            # mmengine's own __setattr__ would make it an entry of the config.
            object.__setattr__(self, "_printed", known)
        return known[1]
