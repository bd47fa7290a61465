"""A short console: what only the log file has."""

from __future__ import annotations

import logging
from collections.abc import Iterator

#: Longest line of the console; the class names of a large vocabulary are longer.
_MAX_LINE = 4000
#: Warnings of mmengine's hooks about mmengine, which no config can change.
_OF_MMENGINE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias')


def shorten_console(logger: logging.Logger) -> None:
    """Let the console have warnings only, until :func:`show_progress`; the log file has all.

    While a runner is built it logs the environment, the config and the hooks: hundreds of lines.

    Args:
        logger: its handlers of the console are changed.
    """
    for handler in _console(logger):
        handler.addFilter(_is_warning)


def shorten_lines(logger: logging.Logger) -> None:
    """Let the console have the ends of very long lines only; the log file has all of them.

    Args:
        logger: its handlers of the console are changed.
    """
    for handler in _console(logger):
        if handler.formatter is not None:
            handler.setFormatter(_ShortLines(handler.formatter))


class _ShortLines(logging.Formatter):
    """Formats as another formatter, and leaves out the middle of long lines."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        lines = self._formatter.format(record).split("\n")
        return "\n".join(map(_shorten, lines))


def _shorten(line: str) -> str:
    if len(line) <= _MAX_LINE:
        return line
    left_out = len(line) - _MAX_LINE
    return f"{line[: _MAX_LINE // 2]} ... ({left_out:,} characters) ... {line[-_MAX_LINE // 2 :]}"


def show_progress(logger: logging.Logger) -> None:
    """Let the console have all lines again.

    Args:
        logger: its handlers of the console are changed.
    """
    for handler in _console(logger):
        handler.removeFilter(_is_warning)


def hide_own_warnings(logger: logging.Logger) -> None:
    """Hide the warnings that mmengine gives about itself.

    Args:
        logger: its handlers of the console are changed.
    """
    for handler in _console(logger):
        handler.addFilter(_concerns_user)


def _console(logger: logging.Logger) -> Iterator[logging.Handler]:
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            yield handler


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _concerns_user(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_OF_MMENGINE)
