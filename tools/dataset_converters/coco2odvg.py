r"""Convert detection data in COCO's format to lines.

OUT gets a line for each image, and beside it goes the label map, OUT without its ending and
_label_map.json. Labels are the places of the categories in the order of their ids. File names are
relative to the folder that the file_name of the annotations is relative to.

Examples:
    python tools/dataset_converters/coco2odvg.py data/coco/annotations/instances_train2017.json \
        data/coco/odvg/train2017.jsonl
    python tools/dataset_converters/coco2odvg.py train.json train.jsonl --exclude-images val.json
"""

from __future__ import annotations

from glip.cli.common import run
from glip.converters.detection import Layout, convert_detection
from glip.converters.options import converter_parser, open_conversion


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    args = converter_parser(__doc__, "annotation file in COCO's format").parse_args(argv)
    with open_conversion(args) as conversion:
        convert_detection(args.ann_file, conversion, Layout())


if __name__ == "__main__":
    run(main)
