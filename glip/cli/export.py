r"""Export a model to ONNX or OpenVINO, for detection without torch.

OUT gets the graphs (text, image, answer), tokenizer.json and manifest.json. Sizes of images,
batches and captions are free unless --static fixes the image's. The exported model is compared with
torch, on raw outputs and detections; if they differ, the command fails and OUT is not written.

Examples:
    glip export --weights glip_nano_shapes --out nano_onnx
    glip export --weights glip_nano_shapes --out nano_static --static 192x160 --fp16
    glip export --weights glip_nano_shapes --out nano_openvino --format openvino
    glip detect photo.jpg --weights nano_onnx --texts 'red star . blue circle .'
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import add_cfg_options, new_parser, parse_and_run

#: The options that choose the precision of the stored weights.
_PRECISIONS = {"fp16": "fp16", "quantize": "int8"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument(
        "--weights", metavar="W", required=True, help="checkpoint: a file, a URL, or a name"
    )
    parser.add_argument(
        "--config", help="config of the weights; default: the one that they belong to"
    )
    parser.add_argument(
        "--out", required=True, help="folder to write; it must not exist, and appears complete"
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "openvino"),
        default="onnx",
        help="of the graphs; default: %(default)s",
    )
    small = parser.add_mutually_exclusive_group()
    small.add_argument(
        "--fp16",
        action="store_true",
        help="store weights in float16: half the size, computed in float32 all the same",
    )
    small.add_argument(
        "--quantize",
        action="store_true",
        help="store the linear layers in int8, in ONNX: the differences are printed, not limited",
    )
    parser.add_argument(
        "--static",
        type=image_size,
        metavar="HxW",
        help="one input size, multiples of 32; default: any size",
    )
    add_cfg_options(parser)


def image_size(text: str) -> tuple[int, int]:
    """Read a size ``HxW``."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected HxW, such as 800x1344, got {text!r}")
    return int(match[1]), int(match[2])


def run(args: argparse.Namespace) -> None:
    """Export.

    Raises:
        ExportError: the exported model detects something else than torch does.
        StorageError: OUT exists, or cannot be written.
        DependencyError: a package is missing or too old.
        ConfigError: an option is invalid.
        CheckpointError: the weights cannot be read.
    """
    from glip.export.checks import check_export

    precisions = [name for option, name in _PRECISIONS.items() if getattr(args, option)]
    precision = precisions[0] if precisions else "fp32"
    check_export(args.out, args.format, precision, args.static)

    from glip.apis.build import make_detector
    from glip.export.writer import export_model

    model = make_detector(args.config, args.weights, "cpu", dict(args.cfg_options or {}))
    export_model(model, args.out, format=args.format, precision=precision, static=args.static)
    size = sum(path.stat().st_size for path in Path(args.out).iterdir()) / 1e6
    print(f"wrote {args.out} ({size:.0f} MB)")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and export; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
