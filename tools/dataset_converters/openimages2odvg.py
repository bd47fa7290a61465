r"""Convert the boxes of Open Images to lines.

OUT gets a line for each image that has a box, and beside it goes the label map; a label is the
place of a class in class-descriptions-boxable.csv. File names are the image's id and .jpg, relative
to the folder of the split. Boxes around groups are left out: they hold many things of a class.

The size of an image is read from the start of its file, or from --sizes, a CSV file with the
columns ImageID, Width and Height.

Examples:
    python tools/dataset_converters/openimages2odvg.py train-annotations-bbox.csv \
        data/openimages/train.jsonl --names class-descriptions-boxable.csv \
        --img-root data/openimages/train
"""

from __future__ import annotations

from pathlib import Path

from glip.cli.common import run
from glip.converters.open_images import convert_open_images
from glip.converters.options import converter_parser, open_conversion


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(__doc__, "boxes: train-annotations-bbox.csv or the like", coco=False)
    parser.add_argument(
        "--names", type=Path, required=True, help="names: class-descriptions-boxable.csv"
    )
    parser.add_argument("--sizes", type=Path, help="CSV file with the sizes of the images")
    parser.add_argument(
        "--keep-groups", action="store_true", help="keep boxes around groups (IsGroupOf)"
    )
    args = parser.parse_args(argv)
    with open_conversion(args) as conversion:
        convert_open_images(
            args.ann_file,
            args.names,
            conversion,
            sizes_file=args.sizes,
            keep_groups=args.keep_groups,
        )


if __name__ == "__main__":
    run(main)
