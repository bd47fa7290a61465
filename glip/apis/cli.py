"""What the command lines share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from mmengine.config import DictAction

from .setup import UserError


def run(main: Callable[[], None]) -> None:
    """Run a command line; what its user can mend ends in its message and exit code 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")


def positive_int(text: str) -> int:
    """Read a number of 1 or more; a ``type`` for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


class CfgOptions(DictAction):
    """An ``action`` for argparse: mmengine's ``key=value ...``, with usage for what is not."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the options as a dictionary."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (AssertionError, ValueError) as error:
            raise argparse.ArgumentError(self, f"expected key=value ..., got {values}") from error
