"""A log file on a full disk: one warning, and the run continues."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def report_log_errors_once(logger: logging.Logger) -> None:
    """Let a logger's files that cannot be written give one warning, not a traceback per line.

    The log is not the result of a run, so the run continues; the console shows the same lines.

    Args:
        logger: its file handlers are changed.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = _make_handler(handler)  # type: ignore[assignment,method-assign]


def _make_handler(handler: logging.FileHandler) -> Callable[[logging.LogRecord], None]:
    reported = False

    def handle_error(record: logging.LogRecord) -> None:
        nonlocal reported
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            logging.FileHandler.handleError(handler, record)
        elif not reported:
            reported = True
            reason = error.strerror or error
            print(
                f"warning: '{handler.baseFilename}' cannot be written ({reason}): free space; "
                "until then lines are missing from the log, and the run continues",
                file=sys.stderr,
            )

    return handle_error
