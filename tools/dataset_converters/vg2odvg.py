r"""Convert Visual Genome to lines: descriptions of regions, or objects.

region_descriptions.json becomes captions with phrases, which is Visual Genome's part in GoldG: the
descriptions of an image are joined into captions of up to --max-chars characters, each a sentence
and a phrase. As in MDETR's data, two that speak of one place (IoU above 0.5) are not in one
caption. (GoldG itself is MDETR's file, see goldg2odvg.py; this is for Visual Genome alone.)

objects.json becomes detection data of the most frequent names, its part in the four detection data
sets of GLIP-L; beside OUT goes the label map.

File names are relative to the folder of VG_100K/ and VG_100K_2/, with --flat to a folder that holds
all images, such as GQA's images/. Half of the images are COCO's: --exclude-coco leaves them out.

Examples:
    python tools/dataset_converters/vg2odvg.py region_descriptions.json data/vg/regions.jsonl \
        --image-data image_data.json --exclude-coco
    python tools/dataset_converters/vg2odvg.py objects.json data/vg/objects.jsonl \
        --image-data image_data.json --as objects
"""

from __future__ import annotations

from pathlib import Path

from glip.cli.common import positive_int, run
from glip.converters.options import converter_parser, open_conversion
from glip.converters.visual_genome import VisualGenome, convert_objects, convert_regions


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(__doc__, "region_descriptions.json, or objects.json (--as objects)")
    parser.add_argument("--image-data", type=Path, required=True, help="image_data.json")
    parser.add_argument(
        "--as",
        dest="content",
        choices=("regions", "objects"),
        default="regions",
        help="what to make of it; default: %(default)s",
    )
    parser.add_argument(
        "--max-chars",
        type=positive_int,
        default=250,
        help="longest caption of more than one description; 1 gives each its own line; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--num-names",
        type=positive_int,
        default=1600,
        help="how many names of objects; default: %(default)s",
    )
    parser.add_argument("--flat", action="store_true", help="all images are in one folder")
    args = parser.parse_args(argv)
    with open_conversion(args) as conversion:
        data = VisualGenome(args.ann_file, args.image_data, conversion, flat=args.flat)
        if args.content == "objects":
            convert_objects(data, num_names=args.num_names)
        else:
            convert_regions(data, max_chars=args.max_chars)


if __name__ == "__main__":
    run(main)
