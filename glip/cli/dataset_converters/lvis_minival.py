r"""Write MDETR's minival of LVIS v1: the val images that are also in COCO val2017.

LVIS v1 val has 19,809 images: the 5,000 of COCO's val2017, and others of train2017. The new file
has all categories, and the annotations of the kept images. Each image gets a file_name from its
coco_url, such as val2017/000000397133.jpg.

Examples:
    python tools/dataset_converters/lvis_minival.py data/coco/annotations/lvis_v1_val.json \
        data/coco/annotations/instances_val2017.json \
        data/coco/annotations/lvis_v1_minival_inserted_image_name.json
    with the image ids in a text file, one per line:
        python tools/dataset_converters/lvis_minival.py lvis_v1_val.json ids.txt OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from glip.cli.common import new_parser, parse_and_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("lvis_val", type=Path, help="annotation file of LVIS: lvis_v1_val.json")
    parser.add_argument(
        "ids", type=Path, help="COCO's instances_val2017.json, or a text file with an id per line"
    )
    parser.add_argument("out", type=Path, help="file to write")


def run(args: argparse.Namespace) -> None:
    """Write the subset.

    Raises:
        AnnotationFileError: a file cannot be used, or no image is kept.
    """
    from glip.converters.lvis_minival import read_ids, select_images
    from glip.datasets.annotation_file import load_readable
    from glip.utils.atomic_write import atomic_write

    content = load_readable(str(args.lvis_val))
    subset = select_images(content, read_ids(args.ids), str(args.lvis_val))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.out, json.dumps(subset).encode())
    for key in ("images", "annotations", "categories"):
        print(f"{key}: {len(subset[key])} of {len(content[key])}")
    print(f"wrote {args.out}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and write the subset; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
