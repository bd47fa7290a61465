"""Select MDETR's minival from LVIS v1 val: the images that are also in COCO val2017."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glip.datasets.annotation_file import read_annotation_file, require
from glip.utils.errors import AnnotationFileError


def read_ids(path: Path) -> set[int]:
    """Read the ids of the images to keep.

    Args:
        path: annotation file in COCO format (``.json``), or text file with an id per line.

    Raises:
        AnnotationFileError: the file is neither.
    """
    if path.suffix == ".json":
        return {image["id"] for image in read_annotation_file(str(path)).images}
    try:
        return {int(line) for line in path.read_text(encoding="utf-8").split()}
    except ValueError as error:
        raise AnnotationFileError(
            f"'{path}' is not a list of image ids ({error}): expected a .json file in COCO format, "
            "or a text file with an id per line"
        ) from error


def select_images(content: dict[str, Any], ids: set[int], path: str) -> dict[str, Any]:
    """Select images of LVIS and their annotations.

    Args:
        content: content of the annotation file of LVIS.
        ids: ids of the images to keep.
        path: path of the annotation file, for errors.

    Returns:
        The content with the kept ``images``, which have a ``file_name``, and their
        ``annotations``.

    Raises:
        AnnotationFileError: an image has no ``coco_url``, or no image is kept.
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
