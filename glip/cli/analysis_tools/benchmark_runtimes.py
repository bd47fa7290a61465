r"""Compare a model in torch with its exported forms, on the CPU, in one run.

Each checkpoint and each folder of `glip export` is loaded by a process of its own, which detects as
`glip detect` does, from the file to the boxes, the text features reused. The processes take turns,
so that other work on the machine slows all of them alike. The table has the medians; peak memory is
that of the process, its libraries included.

Examples:
    python tools/analysis_tools/benchmark_runtimes.py glip_nano_shapes nano_onnx nano_openvino
    python tools/analysis_tools/benchmark_runtimes.py glip_tiny_a tiny_openvino \
        --image photo.jpg --texts '$: coco' --threads 4 --repeat 5
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from glip.cli.argument_types import positive_int
from glip.cli.common import add_cfg_options, new_parser, parse_and_run

if TYPE_CHECKING:
    from glip.analysis.runtimes import Measured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "weights",
        nargs="+",
        metavar="W",
        help="checkpoints (a file, a URL or a name), and folders of glip export",
    )
    parser.add_argument(
        "--image", default="demo/shapes.jpg", help="image file; default: %(default)s"
    )
    parser.add_argument(
        "--texts", default="red star . blue circle .", help="prompt; default: '%(default)s'"
    )
    parser.add_argument(
        "--threads",
        type=positive_int,
        default=os.cpu_count(),
        help="threads of each process; default: the number of cores",
    )
    parser.add_argument(
        "--starts", type=positive_int, default=3, help="starts of each; default: %(default)s"
    )
    parser.add_argument(
        "--repeat",
        type=positive_int,
        default=7,
        help="images of each after its first one; default: %(default)s",
    )
    parser.add_argument("--json", type=Path, help="store the numbers in this file")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> list[Measured]:
    """Measure and print.

    Returns:
        The numbers in the order of the models.

    Raises:
        CheckpointError: a model cannot be loaded.
        ImageReadError: the image cannot be read.
        DependencyError: a package is missing or too old.
    """
    from glip.analysis.runtimes import Task, compare_runtimes
    from glip.cli.detect import find_image
    from glip.utils.atomic_write import write_new_file
    from glip.utils.tables import format_table

    task = Task(find_image(args.image), args.texts, args.threads, dict(args.cfg_options or {}))
    found = compare_runtimes(args.weights, task, starts=args.starts, repeat=args.repeat)
    header = ["", "start [s]", "first image [s]", "image [s]", "fastest [s]", "CPU [s]"]
    header += ["memory [GiB]", "disk [MB]", "detections"]
    print(f"{args.threads} threads, {args.starts} starts, then {args.repeat} images each")
    print(format_table(header, [list(asdict(each).values()) for each in found]))
    if args.json:
        write_new_file(args.json, json.dumps([asdict(each) for each in found], indent=1))
    return found


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> list[Measured]:
    """Parse the command line and measure; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
