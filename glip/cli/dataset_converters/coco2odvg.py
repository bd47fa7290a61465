r"""Convert detection data in COCO format to ODVG.

OUT gets a record per image. The label map is written beside it: the name of OUT with
_label_map.json instead of its file extension. Labels are the indices of the categories, sorted by
id. File names are copied from file_name.

Examples:
    python tools/dataset_converters/coco2odvg.py data/coco/annotations/instances_train2017.json \
        data/coco/odvg/train2017.jsonl
    python tools/dataset_converters/coco2odvg.py train.json train.jsonl --exclude-images val.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(parser, "annotation file in COCO format")


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.detection import Layout, convert_detection

    with open_conversion(args) as conversion:
        convert_detection(args.ann_file, conversion, Layout())


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
