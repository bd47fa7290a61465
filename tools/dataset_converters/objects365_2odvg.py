r"""Convert Objects365, version 1 or 2, to lines.

Misspelled category names are corrected (NAME_FIXES in glip/datasets/converters/objects365.py). File
names are relative to the folder that the archives were unpacked in: patch8/objects365_v1_....jpg in
version 2, obj365_train_....jpg in version 1. The three images that version 2 annotates and does not
have are left out.

Examples:
    python tools/dataset_converters/objects365_2odvg.py \
        data/objects365v1/objects365_train.json data/objects365v1/train.jsonl
    python tools/dataset_converters/objects365_2odvg.py \
        data/objects365v2/annotations/zhiyuan_objv2_train.json data/objects365v2/train.jsonl \
        --img-root data/objects365v2/train
"""

from __future__ import annotations

from glip.cli.common import run
from glip.converters.detection import Layout, convert_detection
from glip.converters.objects365 import MISSING, file_name, fix_name
from glip.converters.options import converter_parser, open_conversion


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(
        __doc__, "objects365_train.json or zhiyuan_objv2_train.json", coco=False
    )
    parser.add_argument(
        "--keep-names", action="store_true", help="leave the category names as they are"
    )
    args = parser.parse_args(argv)
    layout = Layout(file_name=file_name, category=str if args.keep_names else fix_name)
    with open_conversion(args, MISSING) as conversion:
        convert_detection(args.ann_file, conversion, layout)


if __name__ == "__main__":
    run(main)
