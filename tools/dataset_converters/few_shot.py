r"""Write few-shot subsets of an annotation file in COCO's format.

A shot is an image that shows a class. The rule is microsoft/GLIP's, see glip/datasets/few_shot.py;
the default shots and seeds are those of the ODinW challenge. Each subset is an annotation file with
all the categories, and the pictures stay where they are.

Examples:
    python tools/dataset_converters/few_shot.py data/my_data/train.json
    writes data/my_data/train_shot{1,3,5,10}_seed{3,30,300}.json

    python tools/dataset_converters/few_shot.py train.json --shots 5 --seeds 3 --out-dir few
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from glip.cli.common import positive_int, run
from glip.datasets.annotation_file import AnnotationFile, box_problem, read_annotation_file
from glip.datasets.few_shot import SEEDS, SHOTS, choose_images
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import AnnotationFileError


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ann_file", type=Path, help="annotation file in COCO's format")
    parser.add_argument(
        "--shots",
        type=positive_int,
        nargs="+",
        default=SHOTS,
        help="images for each class; default: %(default)s",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=SEEDS,
        help="of the choice; 0 takes images in the order of their ids; default: %(default)s",
    )
    parser.add_argument("--out-dir", type=Path, help="default: the folder of ANN_FILE")
    return parser.parse_args(argv)


def read_boxes(path: Path) -> AnnotationFile:
    """Read the annotation file; annotations without a box or a category are left out.

    Raises:
        AnnotationFileError: it cannot be used, or has no box to learn from.
    """
    file = read_annotation_file(str(path))
    for key in file.annotations:
        kept = []
        for annotation in file.annotations[key]:
            problem = box_problem(annotation.get("bbox"))
            if problem is None and "category_id" not in annotation:
                problem = "without a category"
            if problem is None:
                kept.append(annotation)
            else:
                file.skipped.add(problem, f"id {annotation['id']}")
        file.annotations[key] = kept
    file.skipped.log(f"left out of '{path}'")
    return file


def main(argv: list[str] | None = None) -> None:
    """Write the subsets; see the module's docstring."""
    args = parse_args(argv)
    file = read_boxes(args.ann_file)
    if not choose_images(file.annotations, 1, 0):
        raise AnnotationFileError(
            f"'{args.ann_file}' has no image with a box larger than one pixel: nothing to choose"
        )
    folder = args.out_dir or args.ann_file.parent
    folder.mkdir(parents=True, exist_ok=True)
    for shots in args.shots:
        for seed in args.seeds:
            chosen = set(choose_images(file.annotations, shots, seed))
            images = [image for image in file.images if image["id"] in chosen]
            annotations = [each for image in images for each in file.annotations[image["id"]]]
            content = dict(images=images, annotations=annotations, categories=file.categories)
            path = folder / f"{args.ann_file.stem}_shot{shots}_seed{seed}.json"
            atomic_write(path, json.dumps(content).encode())
            print(f"{path}: {len(images)} images, {len(annotations)} boxes")
    shown = {each["category_id"] for every in file.annotations.values() for each in every}
    unseen = [each["name"] for each in file.categories if each["id"] not in shown]
    if unseen:
        print(f"no image shows: {', '.join(map(str, unseen))}")


if __name__ == "__main__":
    run(main)
