r"""Convert Objects365, version 1 or 2, to ODVG.

Misspelled category names are corrected (NAME_FIXES in glip/converters/objects365.py). File names
are relative to the folder of the unpacked archives: patch8/objects365_v1_....jpg in version 2,
obj365_train_....jpg in version 1. The three images that version 2 annotates but does not contain
are excluded.

Examples:
    python tools/dataset_converters/objects365_2odvg.py \
        data/objects365v1/objects365_train.json data/objects365v1/train.jsonl
    python tools/dataset_converters/objects365_2odvg.py \
        data/objects365v2/annotations/zhiyuan_objv2_train.json data/objects365v2/train.jsonl \
        --img-root data/objects365v2/train
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(parser, "objects365_train.json or zhiyuan_objv2_train.json", coco=False)
    parser.add_argument(
        "--keep-names", action="store_true", help="do not correct the category names"
    )


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.detection import Layout, convert_detection
    from glip.converters.objects365 import MISSING, file_name, fix_name

    layout = Layout(file_name=file_name, category=str if args.keep_names else fix_name)
    with open_conversion(args, MISSING) as conversion:
        convert_detection(args.ann_file, conversion, layout)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
