r"""Generate a small data set in every format, to train and to evaluate without a download.

The images show coloured rectangles and ellipses. The annotations have the formats of COCO, LVIS,
Flickr30k Entities, RefCOCO (MDETR's format) and three data sets of ODinW, in the usual folders. The
files are a deterministic function of the seed. Metrics on them mean nothing.

Examples:
    python tools/dataset_converters/make_examples.py data/examples
    python tools/test.py glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365 CHECKPOINT \
        --cfg-options data_root=data/examples/coco/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="random seed; default: %(default)s")


def run(args: argparse.Namespace) -> None:
    """Generate."""
    from glip.testing.examples import make_examples

    make_examples(args.out, args.seed)
    print(f"wrote coco/, flickr30k_entities/ and odinw/ to {args.out}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and generate; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
