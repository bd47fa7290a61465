r"""Convert RefCOCO, RefCOCO+ and RefCOCOg, in MDETR's format, to lines.

OUT gets a line for each expression. Its phrase is the expression as a whole, as in evaluation here,
or with --phrase head the words that MDETR found to name the thing ("the man" of "the man on the
left"). File names are relative to COCO's train2014/.

Images that one of the three data sets trains on are tested on in another. To test on one, name its
files in --exclude-images.

Examples:
    python tools/dataset_converters/refcoco2odvg.py \
        data/coco/mdetr_annotations/finetune_refcoco_train.json data/coco/odvg/refcoco.jsonl
    python tools/dataset_converters/refcoco2odvg.py finetune_refcocog_train.json refcocog.jsonl \
        --exclude-images finetune_refcoco_val.json finetune_refcoco_testA.json
"""

from __future__ import annotations

from glip.cli.common import run
from glip.converters.grounding import convert_grounding
from glip.converters.options import converter_parser, open_conversion


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(__doc__, "finetune_refcoco_train.json or the like", coco=False)
    parser.add_argument(
        "--phrase",
        choices=("whole", "head"),
        default="whole",
        help="what a box is of: the whole expression, or the words that name the thing; "
        "default: %(default)s",
    )
    args = parser.parse_args(argv)
    with open_conversion(args) as conversion:
        convert_grounding(args.ann_file, conversion, whole_caption=args.phrase == "whole")


if __name__ == "__main__":
    run(main)
