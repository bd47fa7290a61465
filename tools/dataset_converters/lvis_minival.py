r"""Take MDETR's minival out of LVIS v1 val: its images that are also in COCO val2017.

LVIS v1 val has 19,809 images, of which 5,000 are COCO's val2017; the others are in train2017. The
new file keeps all categories and of the annotations those of the kept images. Each image gets a
file_name made of its coco_url, such as val2017/000000397133.jpg.

Examples:
    python tools/dataset_converters/lvis_minival.py data/coco/annotations/lvis_v1_val.json \
        data/coco/annotations/instances_val2017.json \
        data/coco/annotations/lvis_v1_minival_inserted_image_name.json
    with the ids of the images in a text file, one a line:
        python tools/dataset_converters/lvis_minival.py lvis_v1_val.json ids.txt OUT
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from glip.cli.common import run
from glip.datasets.annotation_file import read_annotation_file, require
from glip.utils.errors import AnnotationFileError


def read_ids(path: Path) -> set[int]:
    """Read the ids of the images to keep.

    Args:
        path: an annotation file in COCO's format (``.json``), or a text file with an id a line.

    Raises:
        AnnotationFileError: it is neither.
    """
    if path.suffix == ".json":
        return {image["id"] for image in read_annotation_file(str(path)).images}
    try:
        return {int(line) for line in path.read_text(encoding="utf-8").split()}
    except ValueError as error:
        raise AnnotationFileError(
            f"'{path}' is no list of image ids ({error}): expected a .json file in COCO's format, "
            "or a text file with an id a line"
        ) from error


def minival(content: dict[str, Any], ids: set[int], path: str) -> dict[str, Any]:
    """Keep some images of LVIS, and what belongs to them.

    Args:
        content: of LVIS's annotation file.
        ids: of the images to keep.
        path: of the file, for errors.

    Returns:
        the same with fewer ``images`` and ``annotations``; each image has its ``file_name``.

    Raises:
        AnnotationFileError: an image has no ``coco_url``, or none is to be kept.
    """
    images = [
        {**image, "file_name": "/".join(require(image, "coco_url", path).split("/")[-2:])}
        for image in content["images"]
        if image["id"] in ids
    ]
    if not images:
        raise AnnotationFileError(
            f"none of the {len(content['images'])} images of '{path}' is among the {len(ids)} to "
            "keep: expected LVIS v1's val and COCO's val2017"
        )
    kept = {image["id"] for image in images}
    annotations = [each for each in content["annotations"] if each["image_id"] in kept]
    return {**content, "images": images, "annotations": annotations}


def main(argv: list[str] | None = None) -> None:
    """Write the subset; see the module's docstring."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lvis_val", type=Path, help="LVIS's annotation file, lvis_v1_val.json")
    parser.add_argument(
        "ids", type=Path, help="COCO's instances_val2017.json, or a text file with an id a line"
    )
    parser.add_argument("out", type=Path, help="where to write")
    args = parser.parse_args(argv)
    read_annotation_file(str(args.lvis_val))  # says in a sentence what is wrong with the file
    content = json.loads(args.lvis_val.read_text(encoding="utf-8"))
    subset = minival(content, read_ids(args.ids), str(args.lvis_val))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial = args.out.with_name(f".{args.out.name}.partial")
    partial.write_text(json.dumps(subset), encoding="utf-8")
    os.replace(partial, args.out)
    for key in ("images", "annotations", "categories"):
        print(f"{key}: {len(subset[key])} of {len(content[key])}")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    run(main)
