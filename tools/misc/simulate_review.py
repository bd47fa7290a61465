"""Correct the most doubtful images of a review page as a person would, from known annotations.

REVIEW.html is a page that `glip label` wrote. The boxes of its first images, which it shows first,
are replaced by those of TRUTH.json, an annotation file in COCO's format whose categories have the
names of the classes. OUT is what the page downloads: `glip label --apply-review OUT` reads it. It
measures what a review is worth where the truth is known, on generated images for example.

Examples:
    python tools/misc/simulate_review.py labels/review.html truth.json --out corrected.json
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glip.cli.common import UsageError, new_parser, parse_and_run


def read_page(path: Path) -> dict[str, Any]:
    """Return the data of a review page.

    Raises:
        UsageError: it is no review page.
    """
    block = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    if block is None:
        raise UsageError(f"{path} is no review page of `glip label`")
    return json.loads(block[1])


def correct(data: dict[str, Any], truth: dict[str, Any], count: int) -> dict[str, Any]:
    """Return what a page downloads after its first images got the boxes of the truth.

    Args:
        data: of the page.
        truth: content of an annotation file; its images have the file names of the page's.
        count: number of images.
    """
    labels = {name: label for label, name in enumerate(data["classes"], start=1)}
    category_ids = {each["id"]: labels[each["name"]] for each in truth["categories"]}
    names = {each["id"]: each["file_name"] for each in truth["images"]}
    boxes: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for each in truth["annotations"]:
        boxes[names[each["image_id"]]].append(each)
    next_id = data["last_id"] + 1
    annotations = []
    first = {image["id"] for image in data["images"][:count]}
    images = sorted(data["images"], key=lambda image: image["id"])  # as the page downloads them
    for image in images:
        if image["id"] not in first:
            for each in image["boxes"]:
                kept = {key: each[key] for key in ("score", "probability", "prompt") if key in each}
                label = each["label"] + 1
                annotations.append(_annotation(each["id"], image, label, each["box"]) | kept)
            continue
        for each in boxes[image["file_name"]]:
            box = [round(value, 2) for value in each["bbox"]]
            made = _annotation(next_id, image, category_ids[each["category_id"]], box)
            annotations.append(made | {"corrected": True})
            next_id += 1
    return dict(
        info=dict(
            description="labels of a detector, reviewed",
            version=data["model"],
            labels=data["labels"],
        ),
        licenses=[],
        categories=[dict(id=label, name=name) for name, label in labels.items()],
        images=[
            {key: image[key] for key in ("id", "file_name", "width", "height")}
            | {"reviewed": image["id"] in first}
            for image in images
        ],
        annotations=annotations,
    )


def _annotation(number: int, image: dict[str, Any], label: int, box: list[float]) -> dict[str, Any]:
    return dict(
        id=number,
        image_id=image["id"],
        category_id=label,
        bbox=box,
        area=round(box[2] * box[3], 2),
        iscrowd=0,
    )


def run(args: argparse.Namespace) -> None:
    """Correct the images, and write the file.

    Raises:
        UsageError: the share is no share, or the page is none.
    """
    if not 0 < args.share <= 1:
        raise UsageError(f"expected --share above 0 and up to 1, got {args.share}")
    data = read_page(args.page)
    truth = json.loads(args.truth.read_text(encoding="utf-8"))
    count = math.ceil(args.share * len(data["images"]))
    args.out.write_text(json.dumps(correct(data, truth, count)), encoding="utf-8")
    print(f"corrected {count} of {len(data['images'])} images: {args.out}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("page", type=Path, metavar="REVIEW.html", help="a review page")
    parser.add_argument("truth", type=Path, metavar="TRUTH.json", help="annotations of its images")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument(
        "--share",
        type=float,
        default=0.1,
        help="of the page's images, the first ones; default: %(default)s",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run; see :func:`run`."""
    parse_and_run(new_parser(__doc__, add_arguments), run, argv)


if __name__ == "__main__":
    main()
