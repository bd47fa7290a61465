r"""Convert Visual Genome to ODVG: region descriptions, or objects.

region_descriptions.json becomes grounding data, Visual Genome's part of GoldG: the descriptions of
an image are joined into captions of up to --max-chars characters; each description is a sentence
and a phrase. As in MDETR's data, two descriptions whose boxes have an IoU above 0.5 are not in the
same caption. (GoldG itself is MDETR's file, see goldg2odvg.py; this is Visual Genome alone.)

objects.json becomes detection data of the most frequent names, its part of the four detection data
sets of GLIP-L; the label map is written beside OUT.

File names are relative to the folder of VG_100K/ and VG_100K_2/; with --flat to a folder with all
images, such as GQA's images/. Half of the images are COCO's: --exclude-coco excludes them.

Examples:
    python tools/dataset_converters/vg2odvg.py region_descriptions.json data/vg/regions.jsonl \
        --image-data image_data.json --exclude-coco
    python tools/dataset_converters/vg2odvg.py objects.json data/vg/objects.jsonl \
        --image-data image_data.json --as objects
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from glip.cli.argument_types import positive_int
from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(parser, "region_descriptions.json, or objects.json (--as objects)")
    parser.add_argument("--image-data", type=Path, required=True, help="image_data.json")
    parser.add_argument(
        "--as",
        dest="content",
        choices=("regions", "objects"),
        default="regions",
        help="content of the annotation file; default: %(default)s",
    )
    parser.add_argument(
        "--max-chars",
        type=positive_int,
        default=250,
        help="maximum length of a caption of several descriptions; 1 for one description per "
        "caption; default: %(default)s",
    )
    parser.add_argument(
        "--num-names",
        type=positive_int,
        default=1600,
        help="number of object names; default: %(default)s",
    )
    parser.add_argument("--flat", action="store_true", help="all images are in one folder")


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.visual_genome import VisualGenome, convert_objects, convert_regions

    with open_conversion(args) as conversion:
        data = VisualGenome(args.ann_file, args.image_data, conversion, flat=args.flat)
        if args.content == "objects":
            convert_objects(data, num_names=args.num_names)
        else:
            convert_regions(data, max_chars=args.max_chars)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
