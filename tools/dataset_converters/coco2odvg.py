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
from glip.converters.detection import Layout
from glip.converters.options import (
    add_image_options,
    convert_detection_and_show,
    converter_parser,
)


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(__doc__, "annotation file in COCO's format")
    add_image_options(parser)
    convert_detection_and_show(parser.parse_args(argv), Layout())


if __name__ == "__main__":
    run(main)
