"""Write few-shot subsets of an annotation file in COCO format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from glip.datasets.annotation_entries import category_problem
from glip.datasets.annotation_file import AnnotationFile, read_annotation_file
from glip.datasets.few_shot import choose_images
from glip.utils.atomic_write import atomic_write, make_folder
from glip.utils.errors import AnnotationFileError


def read_boxes(path: Path) -> AnnotationFile:
    """Read an annotation file; annotations without a box or a category are excluded.

    Raises:
        AnnotationFileError: the file cannot be used.
    """
    file = read_annotation_file(str(path))
    category_ids = {category["id"] for category in file.categories}
    for key in file.annotations:
        kept = []
        for annotation in file.annotations[key]:
            problem = category_problem(annotation, category_ids)
            if problem is None:
                kept.append(annotation)
            else:
                file.skipped.add(problem, f"id {annotation['id']}", annotation)
        file.annotations[key] = kept
    num_kept = sum(map(len, file.annotations.values()))
    file.check_not_all_skipped(num_kept, [file.skipped])
    file.skipped.log(f"excluded from '{path}'")
    return file


def write_subsets(
    ann_file: Path, shots: Sequence[int], seeds: Sequence[int], out_dir: Path | None
) -> None:
    """Write a subset for each number of shots and each seed, and print their sizes.

    Args:
        ann_file: annotation file in COCO format.
        shots: numbers of images per class.
        seeds: seeds of the sampling.
        out_dir: folder to write to; ``None`` for that of the annotation file.

    Raises:
        AnnotationFileError: the annotation file cannot be used, or has no box.
    """
    file = read_boxes(ann_file)
    if not choose_images(file.annotations, 1, 0):
        raise AnnotationFileError(f"'{ann_file}' has no image with a box larger than one pixel")
    folder = out_dir or ann_file.parent
    make_folder(folder)
    for number in shots:
        for seed in seeds:
            chosen = set(choose_images(file.annotations, number, seed))
            images = [image for image in file.images if image["id"] in chosen]
            annotations = [each for image in images for each in file.annotations[image["id"]]]
            content = dict(images=images, annotations=annotations, categories=file.categories)
            path = folder / f"{ann_file.stem}_shot{number}_seed{seed}.json"
            atomic_write(path, json.dumps(content).encode())
            print(f"{path}: {len(images)} images, {len(annotations)} boxes")
    shown = {each["category_id"] for every in file.annotations.values() for each in every}
    unseen = [each["name"] for each in file.categories if each["id"] not in shown]
    if unseen:
        print(f"no image shows: {', '.join(map(str, unseen))}")
