"""Parts that all commands share: parsers, options, and how a command ends."""

from __future__ import annotations

import argparse
import ast
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from glip.utils.atomic_write import is_storage_problem, storage_error
from glip.utils.errors import USER_ERRORS, GLIPError
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from mmengine.config import Config

#: The keys of ``glip.utils.precision.AMP_DTYPES``, which imports torch.
AMP_CHOICES = ("bf16", "fp16")
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
#: Brackets in brackets that ``--cfg-options`` reads as lists; deeper ones are text.
_MAX_DEPTH = 20

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
        is_named = isinstance(error, GLIPError)
        if isinstance(error, OSError) and not is_named and is_storage_problem(error):
            error = storage_error(error.filename or "the output", error)
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


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--weights`` and ``--config``."""
    parser.add_argument(
        "--weights",
        metavar="W",
        help="checkpoint of this library, microsoft/GLIP or MMDetection: a file, a URL, or a name "
        "that `glip download` lists, such as glip_tiny_a (downloaded once)",
    )
    parser.add_argument(
        "--config",
        metavar="C",
        dest="config_option",
        help="config: a file or the name of a shipped config; default: that of the weights",
    )


def merge_model_options(args: argparse.Namespace, checkpoint: str = "checkpoint") -> None:
    """Merge the positional arguments CONFIG and CHECKPOINT with ``--config`` and ``--weights``.

    Args:
        args: changed in place: ``config`` and ``weights`` are the values to use, or ``None``.
        checkpoint: name of the positional argument of the weights.

    Raises:
        UsageError: a value was given twice.
    """
    given = getattr(args, checkpoint, None)
    if args.config is not None and args.config_option is not None:
        raise UsageError("expected one config, got CONFIG and --config")
    if given is not None and args.weights is not None:
        raise UsageError("expected one checkpoint, got CHECKPOINT and --weights")
    args.config = args.config if args.config is not None else args.config_option
    args.weights = args.weights if args.weights is not None else given


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=CfgOptions,
        metavar="KEY=VALUE",
        help="override values of the config by dotted name: model.test_cfg.max_per_img=300 "
        "train_cfg.max_epochs=12 test_pipeline.1.scale='(800,1333)' data_root='/data/My Data/'. A "
        "VALUE is a Python literal (number, True, None, quoted text, list, tuple, dictionary) or a "
        "list of words, [cat,dog]; anything else is taken as text, as it is written",
    )


def add_image_limits(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-pixels`` and ``--max-bytes``, see :class:`glip.utils.image_files.ImageLimits`."""
    parser.add_argument(
        "--max-pixels",
        type=positive_int,
        metavar="N",
        help="refuse images of more pixels, before they are decoded; default: that of the config, "
        "else about 179 million",
    )
    parser.add_argument(
        "--max-bytes",
        type=positive_int,
        metavar="N",
        help="refuse image files and downloads of more bytes; default: that of the config, else "
        "512 MiB",
    )


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device", help="cpu, cuda:0, ...; default: the first GPU, or the CPU without one"
    )


def use_device(device: str | None) -> None:
    """Let mmengine's runner use a device; call it before torch and mmengine are imported.

    The runner takes the first GPU that the process sees, so the others are hidden.

    Args:
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:<index>'``; ``None`` changes nothing.

    Raises:
        UsageError: it is another one.
    """
    if device is None:
        return
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if not match:
        raise UsageError(f"expected --device cpu, cuda or cuda:<index>, got {device!r}")
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif match[1]:
        visible = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
        index = int(match[1])
        if visible and index >= len(visible):
            raise UsageError(f"expected --device below cuda:{len(visible)}, got {device}")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[index] if visible else match[1]


def add_speed_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for faster inference."""
    parser.add_argument("--amp", choices=AMP_CHOICES, help="use mixed precision")
    parser.add_argument(
        "--compile", action="store_true", help="compile the model with torch.compile"
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    parser.add_argument(
        "--work-dir",
        "--out-dir",
        dest="work_dir",
        help="folder for logs, results and the config; default: work_dirs/<name of the config>",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="also print the environment, the config and the hooks, which the log file always has",
    )
    add_image_limits(parser)
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
    from glip.apis.inference import set_image_limits
    from glip.utils.image_files import ImageLimits

    set_image_limits(cfg, ImageLimits(args.max_pixels, args.max_bytes))
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg.launcher = args.launcher
    cfg.work_dir = (
        args.work_dir or cfg.get("work_dir") or f"work_dirs/{Path(cfg.filename or 'glip').stem}"
    )


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


def finite_float(text: str) -> float:
    """Parse a number that is neither infinite nor NaN; a ``type`` for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


class CfgOptions(argparse.Action):
    """An ``action`` for argparse that collects ``KEY=VALUE ...`` in a dictionary."""

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
            key, separator, value = text.partition("=")
            if not separator or not key.strip():
                raise argparse.ArgumentError(self, f"expected key=value ..., got [{shorten(text)}]")
            options[key.strip()] = parse_value(value)
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Parse the value of ``--cfg-options``.

    A Python literal is parsed as such: a number, ``True``, ``None``, a quoted text, a list, tuple
    or dictionary. So are ``true``, ``false``, ``inf`` and ``nan``, numbers that are separated by
    commas (a list, as in mmengine), and a list or tuple of unquoted words: ``[cat,dog]``. Anything
    else is the text as it is written, with its spaces.
    """
    try:
        # In parentheses, a comment or a line break is an error instead of being ignored.
        value = ast.literal_eval(f"({text})")
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return _parse_words(text)
    if not text.strip() or not _is_plain(value):
        return text
    is_bare_list = isinstance(value, tuple) and _split_brackets(text.strip()) is None
    return list(value) if is_bare_list else value


def _parse_words(text: str) -> Any:
    """Parse a value that is no Python literal."""
    word = text.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if word.lower().lstrip("+-") in ("inf", "nan"):
        return float(word)
    items = _split_brackets(word)
    if items is None or (word[0] == "(" and len(items) == 1):  # "(grey)" is a text
        return text
    values = [parse_value(item.strip()) for item in items if item.strip()]
    return tuple(values) if word[0] == "(" else values


def _split_brackets(text: str) -> list[str] | None:
    """Split ``[a,b]`` or ``(a,b)`` at its commas; ``None`` if the text has another form."""
    closing = {"[": "]", "(": ")"}
    if not text or text[-1] != closing.get(text[0]):
        return None
    items, start = [], 1
    stack: list[str] = []
    for at, char in enumerate(text):
        if char in closing:
            stack.append(closing[char])
            if len(stack) > _MAX_DEPTH:
                return None
        elif char in "])":
            if not stack or stack.pop() != char or (not stack and at < len(text) - 1):
                return None
        elif char == "," and len(stack) == 1:
            items.append(text[start:at])
            start = at + 1
    return None if stack else [*items, text[start:-1]]


def _is_plain(value: Any) -> bool:
    """Return whether a literal is one that configs contain: no bytes, set, complex number or ..."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(value[key]) for key in value)
    return value is None or isinstance(value, (str, int, float))
