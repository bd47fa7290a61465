r"""Convert the boxes of Open Images to ODVG.

OUT gets a record per image with a box, and the label map is written beside it; a label is the index
of a class in class-descriptions-boxable.csv. File names are the image id and .jpg, relative to the
folder of the split. Boxes around groups are excluded: they contain several objects of a class.

Image sizes are read from the image files, or from --sizes, a CSV file with the columns ImageID,
Width and Height.

Examples:
    python tools/dataset_converters/openimages2odvg.py train-annotations-bbox.csv \
        data/openimages/train.jsonl --names class-descriptions-boxable.csv \
        --img-root data/openimages/train
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(parser, "file of boxes, such as train-annotations-bbox.csv", coco=False)
    parser.add_argument("--names", type=Path, required=True, help="class-descriptions-boxable.csv")
    parser.add_argument("--sizes", type=Path, help="CSV file with the sizes of the images")
    parser.add_argument(
        "--keep-groups", action="store_true", help="keep boxes around groups (IsGroupOf)"
    )


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.open_images import convert_open_images

    with open_conversion(args) as conversion:
        convert_open_images(
            args.ann_file,
            args.names,
            conversion,
            sizes_file=args.sizes,
            keep_groups=args.keep_groups,
        )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
