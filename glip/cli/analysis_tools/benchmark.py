r"""Measure the time of a model, stage by stage.

Tasks: inference (an image and a prompt, end to end), lvis (the 1203 class names of LVIS, 40 per
chunk), train (forward, backward and optimizer step) and dataloader (only the training data). The
image is generated at the size that the model gets; without a checkpoint the weights follow a fixed
rule, which takes the same time. The median of several runs is reported. Do not compare times of two
machines, or of a busy one.

With --baseline the plain formulation is measured too, in alternation: torchvision's deformable
convolution, the wide projections of the fusion, captions padded to the maximum number of tokens.

Examples:
    python tools/analysis_tools/benchmark.py glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365 \
        --baseline --cfg-options lang_model_name=demo/bert-base-uncased
    python tools/analysis_tools/benchmark.py CONFIG CHECKPOINT --task lvis --json times.json
    python tools/analysis_tools/benchmark.py CONFIG --task train --shape 480 640 --batch-size 2
    python tools/analysis_tools/benchmark.py CONFIG --sweep tokens
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glip.cli.argument_types import non_negative_int, positive_int
from glip.cli.common import (
    add_cfg_options,
    add_config_argument,
    add_device_option,
    add_speed_options,
    new_parser,
    parse_and_run,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument(
        "checkpoint", nargs="?", help="checkpoint of this library, microsoft/GLIP or mmdet"
    )
    parser.add_argument(
        "--task",
        choices=("inference", "lvis", "train", "dataloader"),
        default="inference",
        help="what to measure; default: %(default)s",
    )
    parser.add_argument(
        "--shape",
        nargs=2,
        type=positive_int,
        default=(800, 1066),
        metavar=("HEIGHT", "WIDTH"),
        help="size of the image in pixels; default: 800 1066",
    )
    parser.add_argument(
        "--texts",
        default="bench . car .",
        help="prompt, for example '$: coco' for 80 class names; default: '%(default)s'",
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=1, help="images per batch; default: %(default)s"
    )
    parser.add_argument(
        "--repeat", type=positive_int, default=3, help="measured runs; default: %(default)s"
    )
    parser.add_argument(
        "--warmup", type=non_negative_int, default=1, help="runs before them; default: %(default)s"
    )
    parser.add_argument(
        "--sweep",
        choices=("tokens", "pixels", "classes", "batch"),
        help="measure with several values of this",
    )
    parser.add_argument(
        "--baseline", action="store_true", help="also measure the plain formulation"
    )
    add_speed_options(parser)
    add_device_option(parser)
    parser.add_argument("--json", type=Path, help="store the numbers in this file")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure and print.

    Returns:
        The numbers by case and formulation.

    Raises:
        ConfigError: the model cannot be built, or the config has no training data.
        PrecisionError: the device cannot compute in the dtype of ``--amp``.
    """
    import torch

    from glip.analysis.benchmark import compare, list_cases, load, print_case, time_loading
    from glip.engine.optimizers.amp_optim_wrapper import check_dtype
    from glip.utils.atomic_write import write_new_file
    from glip.utils.tables import format_table

    if args.amp == "fp16":
        check_dtype("float16")
    numbers: dict[str, Any] = {}
    if args.task == "dataloader":
        numbers["dataloader"] = time_loading(args)
        print(format_table(["dataloader", ""], [[k, v] for k, v in numbers["dataloader"].items()]))
    else:
        cases = list_cases(args)
        model = load(args)
        for name, prompt, shape, batch in cases:
            numbers[name] = compare(model, prompt, shape, batch, args)
            print_case(name, batch, numbers[name])
    if args.json:
        settings = {key: str(value) for key, value in vars(args).items()}
        content = dict(settings=settings, torch=torch.__version__, numbers=numbers)
        write_new_file(args.json, json.dumps(content, indent=1))
    return numbers


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Parse the command line and measure; see :func:`run`."""
    return parse_and_run(build_parser(), run, argv)
