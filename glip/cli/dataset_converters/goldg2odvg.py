r"""Convert GoldG to ODVG: Flickr30k Entities and the mixed data, in MDETR's format.

OUT gets a record per caption, with its phrases and their boxes. File names are those of the
annotations: relative to flickr30k_images/ for Flickr30k; in the mixed data relative to COCO's
train2014/ where data_source is coco, and to GQA's images/ where it is vg. --coco-folder and
--vg-folder prepend a folder, so that both have the same root.

For zero-shot evaluation on COCO or LVIS, exclude COCO's images: --exclude-coco excludes all of them
(as in final_mixed_train_no_coco.json), --exclude-images those of a list or an annotation file.

Examples:
    python tools/dataset_converters/goldg2odvg.py \
        data/flickr30k_entities/final_flickr_separateGT_train.json data/goldg/flickr30k.jsonl
    python tools/dataset_converters/goldg2odvg.py \
        data/gqa/final_mixed_train.json data/goldg/gqa.jsonl --exclude-coco
    python tools/dataset_converters/goldg2odvg.py final_mixed_train.json data/mixed.jsonl \
        --coco-folder coco/train2014 --vg-folder gqa/images
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from glip.cli.common import new_parser, parse_and_run
from glip.cli.dataset_converters.common import add_converter_arguments, open_conversion


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_converter_arguments(
        parser,
        "final_flickr_separateGT_train.json, final_mixed_train.json or "
        "final_mixed_train_no_coco.json",
    )
    for source, images in (("coco", "COCO's train2014"), ("vg", "GQA's images")):
        parser.add_argument(
            f"--{source}-folder",
            default="",
            help=f"folder to prepend to file names with data_source {source}: {images}",
        )


def run(args: argparse.Namespace) -> None:
    """Convert.

    Raises:
        DataError: the image folder does not exist, or the output exists.
        AnnotationFileError: an annotation file cannot be used.
    """
    from glip.converters.grounding import convert_grounding

    folders = dict(coco=args.coco_folder, vg=args.vg_folder)

    def name_of(image: dict[str, Any]) -> str | None:
        name, folder = image.get("file_name"), folders.get(image.get("data_source", ""))
        return f"{folder.rstrip('/')}/{name}" if name and folder else name

    with open_conversion(args) as conversion:
        convert_grounding(args.ann_file, conversion, whole_caption=False, name_of=name_of)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    return new_parser(__doc__, add_arguments)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and convert; see :func:`run`."""
    parse_and_run(build_parser(), run, argv)
