r"""Generate images of coloured shapes over photographs, to train and to test glip_nano_shapes.

Writes to OUT:

- images/: the images;
- annotations/detection.json: COCO format, a class for each pair of a colour and a shape;
- annotations/colors.json, annotations/shapes.json: the same boxes with fewer classes;
- annotations/grounding.json: MDETR's format, a caption for each image with the boxes of its
  phrases;
- annotations/pairs.jsonl: images and captions without boxes, for pseudo-labeling;
- vocabulary/: a WordPiece vocabulary of all these words, the same for every OUT.

The images are a deterministic function of the seed. Some pairs are held out: with
--without-held-out they occur neither in images nor in class names. With --words only these colours
and shapes occur.

Examples:
    python tools/dataset_converters/make_shapes.py data/shapes/train --seed 0 --num-images 20000 \
        --without-held-out
    python tools/dataset_converters/make_shapes.py data/shapes/val --seed 1 --num-images 500
    python tools/test.py glip_nano_shapes demo/glip_nano_shapes.safetensors \
        --cfg-options data_root=data/shapes/val/
    python tools/dataset_converters/make_shapes.py data/few --words red blue circle star --side 128
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import UsageError, new_parser, parse_and_run
from glip.config import demo_file
from glip.testing.shapes.scenes import COLORS, HELD_OUT, MAX_OBJECTS, MIN_SIDE, SHAPES, SIDE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="random seed; default: %(default)s")
    parser.add_argument(
        "--num-images",
        type=positive_int,
        default=500,
        help="number of images; default: %(default)s",
    )
    parser.add_argument(
        "--without-held-out",
        action="store_true",
        help=f"exclude {', '.join(map(' '.join, HELD_OUT))}",
    )
    parser.add_argument(
        "--words",
        nargs="+",
        choices=(*COLORS, *SHAPES),
        default=(*COLORS, *SHAPES),
        metavar="WORD",
        help=f"colours and shapes that may occur; default: {' '.join((*COLORS, *SHAPES))}",
    )
    parser.add_argument(
        "--side",
        type=positive_int,
        default=SIDE,
        help=f"longer side of the images in pixels, at least {MIN_SIDE}; default: %(default)s",
    )
    parser.add_argument(
        "--max-objects",
        type=positive_int,
        default=MAX_OBJECTS,
        help=f"maximum number of shapes per image, at most {MAX_OBJECTS}; default: %(default)s",
    )
    parser.add_argument(
        "--backgrounds",
        type=Path,
        default=demo_file("backgrounds"),
        help="folder of photographs; default: demo/backgrounds",
    )


def run(args: argparse.Namespace) -> None:
    """Generate.

    Raises:
        UsageError: a number is out of range.
        ConfigError: the words make no pair of a colour and a shape.
        FileNotFoundError: there is no photograph.
    """
    if args.max_objects > MAX_OBJECTS:
        raise UsageError(f"expected --max-objects up to {MAX_OBJECTS}, got {args.max_objects}")
    if args.side < MIN_SIDE:
        raise UsageError(f"expected --side of {MIN_SIDE} or more, got {args.side}")
    from glip.testing.shapes.dataset import choose_pairs, make_shapes

    make_shapes(
        args.out,
        seed=args.seed,
        num_images=args.num_images,
        backgrounds=args.backgrounds,
        pairs=choose_pairs(args.words, args.without_held_out),
        side=args.side,
        max_objects=args.max_objects,
    )
    print(f"wrote {args.num_images} images to {args.out}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and generate; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
