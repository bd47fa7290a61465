"""What the command lines share."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from glip.utils.errors import USER_ERRORS
from glip.utils.precision import AMP_DTYPES


def run(main: Callable[[], None]) -> None:
    """Run a command line; what its user can mend ends in its message and exit code 1."""
    try:
        main()
    except USER_ERRORS as error:
        sys.exit(f"error: {_own_words(error)}")


def _own_words(error: BaseException) -> str:
    """What an error said before a data-loading process wrapped its traceback around it."""
    text = str(error)
    if re.match(r"Caught \w+ in DataLoader worker process", text):
        text = text.rpartition(f"{type(error).__name__}: ")[2].strip()
    return text


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing share: where to write, what to override, how it was started."""
    parser.add_argument(
        "--work-dir", help="where logs and results go; default: work_dirs/<name of the config>"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", action=CfgOptions, help="override the config: key=value ..."
    )
    parser.add_argument(
        "--launcher", choices=("none", "pytorch", "slurm", "mpi"), default="none", help="launcher"
    )
    # torch.distributed.launch passes it in either spelling; torchrun sets the variable alone.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def parse_run_options(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Read a command line that has :func:`add_run_options`; tell mmengine the local rank."""
    args = parser.parse_args(argv)
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    return args


def apply_run_options(cfg: Config, args: argparse.Namespace) -> None:
    """Bring launcher and working folder into a config; by default the folder has its name."""
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or f"work_dirs/{Path(args.config).stem}"


def add_speed_options(parser: argparse.ArgumentParser) -> None:
    """Add what makes detecting faster."""
    parser.add_argument("--amp", choices=tuple(AMP_DTYPES), help="detect in mixed precision")
    parser.add_argument(
        "--compile", action="store_true", help="compile with torch.compile at the first picture"
    )


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
