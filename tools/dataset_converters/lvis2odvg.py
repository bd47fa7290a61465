r"""Convert LVIS v1 to lines.

File names are the ends of coco_url, such as train2017/000000391895.jpg, relative to COCO's folder.
What the federated annotations say of an image is carried along, as category ids of the file, which
are the labels plus 1: neg_category_ids (certainly absent), not_exhaustive_category_ids (not every
one is marked).

Examples:
    python tools/dataset_converters/lvis2odvg.py data/coco/annotations/lvis_v1_train.json \
        data/coco/odvg/lvis_train.jsonl
"""

from __future__ import annotations

from typing import Any

from glip.cli.common import run
from glip.converters.detection import Layout, convert_detection
from glip.converters.options import converter_parser, open_conversion


def file_name(image: dict[str, Any]) -> str | None:
    """Return the folder and the file of an image; None if its ``coco_url`` does not tell."""
    url = image.get("coco_url")
    return "/".join(url.split("/")[-2:]) if isinstance(url, str) and url else None


def main(argv: list[str] | None = None) -> None:
    """Convert; see the module's docstring."""
    args = converter_parser(__doc__, "lvis_v1_train.json or the like").parse_args(argv)
    layout = Layout(
        file_name=file_name, extra_keys=("neg_category_ids", "not_exhaustive_category_ids")
    )
    with open_conversion(args) as conversion:
        convert_detection(args.ann_file, conversion, layout)


if __name__ == "__main__":
    run(main)
