r"""Convert RefCOCO, RefCOCO+ and RefCOCOg, in MDETR's format, to ODVG.

OUT gets a record per expression. Its phrase is the whole expression, as in this library's
evaluation; with --phrase head it is the phrase that MDETR annotates for the object ("the man" of
"the man on the left"). File names are relative to COCO's train2014/.

Training images of one of the three data sets are test images of another. To evaluate on one,
exclude its files with --exclude-images.

Examples:
    python tools/dataset_converters/refcoco2odvg.py \
        data/coco/mdetr_annotations/finetune_refcoco_train.json data/coco/odvg/refcoco.jsonl
    python tools/dataset_converters/refcoco2odvg.py finetune_refcocog_train.json refcocog.jsonl \
        --exclude-images finetune_refcoco_val.json finetune_refcoco_testA.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(
        parser, "annotation file, such as finetune_refcoco_train.json", coco=False
    )
    parser.add_argument(
        "--phrase",
        choices=("whole", "head"),
        default="whole",
        help="phrase of the box: the whole expression, or its head; default: %(default)s",
    )


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.grounding import convert_grounding

    with open_conversion(args) as conversion:
        convert_grounding(args.ann_file, conversion, whole_caption=args.phrase == "whole")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
