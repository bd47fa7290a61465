"""Parts that all commands share: parsers, options, and how a command ends."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from glip.utils.errors import USER_ERRORS

if TYPE_CHECKING:
    from mmengine.config import Config

#: The clone of the repository, with ``demo/``; an installed wheel has no such folder.
REPOSITORY = Path(__file__).parents[2]
#: The keys of ``glip.utils.precision.AMP_DTYPES``, which imports torch.
AMP_CHOICES = ("bf16", "fp16")
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")

Result = TypeVar("Result")


class UsageError(Exception):
    """Arguments do not fit together; reported as argparse reports its own errors."""


# Parsing and running


def new_parser(
    description: str | None, add_arguments: Callable[[argparse.ArgumentParser], None]
) -> argparse.ArgumentParser:
    """Return the parser of a command.

    Args:
        description: the docstring of the command's module, printed as it is.
        add_arguments: adds the command's arguments to a parser.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    return parser


def parse_and_run(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], Result],
    argv: Sequence[str] | None,
) -> Result:
    """Parse a command line and run the command.

    Args:
        parser: parser of the command.
        run: runs the command with the parsed arguments.
        argv: the arguments; ``None`` for those of the process.

    Returns:
        The result of ``run``.

    Raises:
        SystemExit: the arguments are wrong; the exit code is 2.
    """
    args = parser.parse_args(argv)
    try:
        return run(args)
    except UsageError as error:
        parser.error(str(error))


def run_main(main: Callable[[], Any]) -> None:
    """Run a command as a script; print the message of a user's error and exit with code 1."""
    try:
        main()
    except USER_ERRORS as error:
        sys.exit(f"error: {_without_worker_traceback(error)}")


def _without_worker_traceback(error: BaseException) -> str:
    """Return an error's message without the traceback that a data-loading worker put around it."""
    text = str(error)
    if re.match(r"Caught \w+ in DataLoader worker process", text):
        text = text.rpartition(f"{type(error).__name__}: ")[2].strip()
    return text


# Options


def add_config_argument(parser: argparse.ArgumentParser, help_text: str = "config") -> None:
    """Add the positional argument CONFIG.

    Args:
        parser: parser of the command.
        help_text: what the config is of.
    """
    parser.add_argument("config", help=f"{help_text}: a file or the name of a shipped config")


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        metavar="KEY=VALUE",
        help="override values of the config",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", help="cpu, cuda:0, ...; default: the first GPU, or the CPU without one"
    )


def add_speed_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for faster inference."""
    parser.add_argument("--amp", choices=AMP_CHOICES, help="use mixed precision")
    parser.add_argument(
        "--compile", action="store_true", help="compile the model with torch.compile"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    parser.add_argument(
        "--work-dir", help="folder for logs and results; default: work_dirs/<name of the config>"
    )
    add_cfg_options(parser)
    parser.add_argument(
        "--launcher",
        choices=LAUNCHERS,
        default="none",
        help="launcher of the distributed processes; default: %(default)s",
    )
    # torch.distributed.launch passes either spelling; torchrun sets only the variable.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def apply_run_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply :func:`add_run_options` to a config, in place; tell mmengine the local rank."""
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg.launcher = args.launcher
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or f"work_dirs/{Path(args.config).stem}"


# Types of arguments


def positive_int(text: str) -> int:
    """Parse an integer of 1 or more; a ``type`` for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of 1 or more, got {text!r}")
    return int(text)


def non_negative_int(text: str) -> int:
    """Parse an integer of 0 or more; a ``type`` for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer of 0 or more, got {text!r}")
    return int(text)


class CfgOptions(argparse.Action):
    """An ``action`` for argparse that collects ``KEY=VALUE ...`` in a dictionary.

    The values have the grammar of ``mmengine.config.DictAction``, which would import torch:
    numbers, ``true``, ``false``, ``None``, text, lists ``[a,b]`` or ``a,b``, tuples ``(a,b)``, and
    lists in lists.
    """

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
            try:
                key, value = text.split("=", maxsplit=1)
                options[key] = parse_value(value)
            except ValueError as error:
                message = f"expected key=value ..., got {values}"
                raise argparse.ArgumentError(self, message) from error
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Parse the value of an option; see :class:`CfgOptions`.

    Raises:
        ValueError: brackets are not balanced.
    """
    text = text.strip("'\"").replace(" ", "")
    if text.startswith("(") and text.endswith(")"):
        return tuple(map(parse_value, _split_items(text[1:-1])))
    if text.startswith("[") and text.endswith("]"):
        return list(map(parse_value, _split_items(text[1:-1])))
    if "," in text:
        items = _split_items(text)
        if items == [text]:  # every comma is in brackets, and the brackets enclose no list
            raise ValueError(f"brackets are not nested correctly in {text!r}")
        return list(map(parse_value, items))
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), None if text == "None" else text)


def _split_items(text: str) -> list[str]:
    """Split a text at the commas that are not in brackets."""
    if not _is_balanced(text):
        raise ValueError(f"brackets are not balanced in {text!r}")
    items, start = [], 0
    for at, char in enumerate(text):
        if char == "," and _is_balanced(text[start:at]):
            items.append(text[start:at])
            start = at + 1
    return [*items, text[start:]] if start < len(text) else items


def _is_balanced(text: str) -> bool:
    return text.count("(") == text.count(")") and text.count("[") == text.count("]")
