r"""Count a model's parameters and its floating-point operations for one image with one prompt.

The model has random weights and runs on the CPU. Matrix products, convolutions and attention are
counted; a multiplication and an addition are two operations. Of a deformable convolution only the
product with its kernel is counted, not the sampling. The fusion is counted as this library computes
it, with the wide projections folded away; its cost grows with the prompt.

The prompt needs a tokenizer; demo/bert-base-uncased needs no download.

Examples:
    python tools/analysis_tools/get_flops.py glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365 \
        --cfg-options lang_model_name=demo/bert-base-uncased
    python tools/analysis_tools/get_flops.py CONFIG --shape 640 640 --texts 'person . dog .'
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.argument_types import positive_int
from glip.cli.common import add_cfg_options, add_config_argument, new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_config_argument(parser)
    parser.add_argument(
        "--shape",
        nargs=2,
        type=positive_int,
        default=(800, 1066),
        metavar=("HEIGHT", "WIDTH"),
        help="size of the image in pixels; default: 800 1066",
    )
    parser.add_argument("--texts", default="bench . car .", help="prompt; default: '%(default)s'")
    add_cfg_options(parser)


def run(args: argparse.Namespace) -> None:
    """Count and print.

    Raises:
        ConfigError: the model cannot be built.
        PromptError: the prompt is empty or too long.
        TokenizerNotFoundError: there is no tokenizer.
    """
    from glip.analysis.flops import count_flops, count_parameters
    from glip.apis.build import build_detector, load_config
    from glip.utils.tables import format_table

    model = build_detector(load_config(args.config, args.cfg_options))
    parameters = count_parameters(model)
    flops = count_flops(model, tuple(args.shape), args.texts)
    rows = [[name, parameters[name] / 1e6, flops[name] / 1e9] for name in parameters]
    print(f"image of {args.shape[0]} x {args.shape[1]} pixels, prompt {args.texts!r}")
    print(format_table(["part", "parameters [M]", "operations [GFLOP]"], rows))
    print("without the sampling of deformable convolutions")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and count; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
