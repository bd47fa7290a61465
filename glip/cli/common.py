"""Parts that all commands share: parsers, options, and how a command ends."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from glip.cli.argument_types import path_or_name, positive_int
from glip.cli.cfg_values import CfgOptions
from glip.utils.atomic_write import is_storage_problem, make_writable_folder, storage_error
from glip.utils.errors import USER_ERRORS, GLIPError
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from mmengine.config import Config

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
    for each in sys.argv[1:] if argv is None else argv:
        if "\0" in each:  # only from Python; no operating system passes it
            parser.error(f"the argument {shorten(each)} has a NUL character: remove it")
        if each.startswith("--") and each.endswith("=--"):
            # argparse drops the value, so that the option would have none.
            parser.error(f"expected a value of {each[:-3]}, got '--'")
    args = parser.parse_args(argv)
    try:
        return run(args)
    except UsageError as error:
        parser.error(str(error))


def run_main(main: Callable[[], Any]) -> None:
    """Run a command as a script.

    Raises:
        SystemExit: with the message of a user's error, which is printed, and code 1; with the code
            of a shell, 130, after Ctrl-C.
    """
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except USER_ERRORS as error:
        if isinstance(error, BrokenPipeError) and _reader_has_ended():
            sys.exit(128 + 13)
        is_named = isinstance(error, GLIPError)
        if isinstance(error, OSError) and not is_named and is_storage_problem(error):
            error = storage_error(error.filename or "the output", error)
        sys.exit(f"error: {_without_worker_traceback(error)}")


def _reader_has_ended() -> bool:
    """Return whether nobody reads the output any more, as after `head`; then write no more."""
    try:
        print(flush=True)  # what failed before is no longer in the buffer
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


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
        type=path_or_name,
        metavar="W",
        help="checkpoint of this library, microsoft/GLIP or MMDetection: a file, a URL, or a name "
        "that `glip download` lists, such as glip_tiny_a (downloaded once)",
    )
    parser.add_argument(
        "--config",
        type=path_or_name,
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


def add_tta_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--tta``."""
    parser.add_argument(
        "--tta",
        action="store_true",
        help="test-time augmentation: detect in several views of each image and merge them; those "
        "of the config's tta_pipeline, else three scales, each as it is and flipped",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share."""
    parser.add_argument(
        "--work-dir",
        "--out-dir",
        dest="work_dir",
        type=path_or_name,
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
    """Apply :func:`add_run_options` to a config, in place; tell mmengine the local rank.

    Raises:
        ConfigError: the launcher did not start this process.
        UsageError: torchrun started this process, and the launcher is another one.
        StorageError: the folder for the results cannot be created, or nothing can be written in
            it.
    """
    from glip.apis.pipelines import set_image_limits
    from glip.labeling.shards import Shard
    from glip.utils.image_files import ImageLimits

    set_image_limits(cfg, ImageLimits(args.max_pixels, args.max_bytes))
    shard = Shard.of_torchrun()
    if args.launcher == "none" and shard.count > 1:
        raise UsageError(
            f"torchrun has started {shard.count} processes, which would all write the same files: "
            "expected --launcher pytorch"
        )
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    if args.launcher != "none":
        Shard.of_launcher(args.launcher)  # raises
    cfg.launcher = args.launcher
    cfg.work_dir = (
        args.work_dir or cfg.get("work_dir") or f"work_dirs/{Path(cfg.filename or 'glip').stem}"
    )
    make_writable_folder(cfg.work_dir)
