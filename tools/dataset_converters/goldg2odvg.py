r"""Convert GoldG's files, which are MDETR's, to lines: Flickr30k Entities and the mixed data.

OUT gets a line for each caption, with its phrases and their boxes. File names are those of the
annotations: relative to flickr30k_images/ for Flickr30k; in the mixed data relative to COCO's
train2014/ where data_source is coco, and to GQA's images/ where it is vg. So that both have one
root, --coco-folder and --vg-folder put a folder before the names.

To test zero-shot on COCO or LVIS, leave COCO's images out: --exclude-coco leaves out all of them
(what final_mixed_train_no_coco.json is), --exclude-images those that a list or an annotation file
names.

Examples:
    python tools/dataset_converters/goldg2odvg.py \
        data/flickr30k_entities/final_flickr_separateGT_train.json data/goldg/flickr30k.jsonl
    python tools/dataset_converters/goldg2odvg.py \
        data/gqa/final_mixed_train.json data/goldg/gqa.jsonl --exclude-coco
    python tools/dataset_converters/goldg2odvg.py final_mixed_train.json data/mixed.jsonl \
        --coco-folder coco/train2014 --vg-folder gqa/images
"""

from __future__ import annotations

from typing import Any

from glip.cli.common import run
from glip.converters.grounding import convert_grounding
from glip.converters.options import converter_parser, open_conversion


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    parser = converter_parser(
        __doc__,
        "final_flickr_separateGT_train.json, final_mixed_train.json or "
        "final_mixed_train_no_coco.json",
    )
    for source, images in (("coco", "COCO's train2014"), ("vg", "GQA's images")):
        parser.add_argument(
            f"--{source}-folder",
            default="",
            help=f"folder to put before the file names whose data_source is {source}: {images}",
        )
    args = parser.parse_args(argv)
    folders = dict(coco=args.coco_folder, vg=args.vg_folder)

    def name_of(image: dict[str, Any]) -> str | None:
        name, folder = image.get("file_name"), folders.get(image.get("data_source", ""))
        return f"{folder.rstrip('/')}/{name}" if name and folder else name

    with open_conversion(args) as conversion:
        convert_grounding(args.ann_file, conversion, whole_caption=False, name_of=name_of)


if __name__ == "__main__":
    run(main)
