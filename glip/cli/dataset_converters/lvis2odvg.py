r"""Convert LVIS v1 to ODVG.

File names are the last two parts of coco_url, such as train2017/000000391895.jpg, relative to the
folder of COCO. The federated annotations of an image are copied, as category ids of the file (the
labels plus 1): neg_category_ids (verified absent) and not_exhaustive_category_ids (not every
instance is annotated).

Examples:
    python tools/dataset_converters/lvis2odvg.py data/coco/annotations/lvis_v1_train.json \
        data/coco/odvg/lvis_train.jsonl
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(parser, "annotation file of LVIS, such as lvis_v1_train.json")


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.detection import Layout, convert_detection

    layout = Layout(
        file_name=file_name, extra_keys=("neg_category_ids", "not_exhaustive_category_ids")
    )
    with open_conversion(args) as conversion:
        convert_detection(args.ann_file, conversion, layout)


def file_name(image: dict[str, Any]) -> str | None:
    """Return the folder and the file name of an image; ``None`` without a ``coco_url``."""
    url = image.get("coco_url")
    return "/".join(url.split("/")[-2:]) if isinstance(url, str) and url else None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
