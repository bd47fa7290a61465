"""A short console: what only the log file has."""

from __future__ import annotations

import logging
from collections.abc import Iterator

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
