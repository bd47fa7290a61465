r"""Write few-shot subsets of an annotation file in COCO format.

A shot is an image that shows a class. The sampling is that of microsoft/GLIP, see
glip/datasets/few_shot.py; the default shots and seeds are those of the ODinW challenge. Each subset
is an annotation file with all categories; the images are not copied.

Examples:
    python tools/dataset_converters/few_shot.py data/my_data/train.json
    writes data/my_data/train_shot{1,3,5,10}_seed{3,30,300}.json

    python tools/dataset_converters/few_shot.py train.json --shots 5 --seeds 3 --out-dir few
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("ann_file", type=Path, help="annotation file in COCO format")
    parser.add_argument(
        "--shots",
        type=positive_int,
        nargs="+",
        help="images per class; default: 1 3 5 10",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        help="seeds of the sampling; 0 takes the images in the order of their ids; "
        "default: 3 30 300",
    )
    parser.add_argument("--out-dir", type=Path, help="default: the folder of ANN_FILE")


def run(args: argparse.Namespace) -> None:
    """Write the subsets.

    Raises:
        AnnotationFileError: the annotation file cannot be used, or has no box.
    """
    from glip.converters.few_shot import write_subsets
    from glip.datasets.few_shot import SEEDS, SHOTS

    write_subsets(args.ann_file, args.shots or SHOTS, args.seeds or SEEDS, args.out_dir)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the subsets; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
