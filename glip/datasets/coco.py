"""Detection data sets in COCO's format: COCO, ODinW, your own."""

from __future__ import annotations

import os.path as osp
from typing import Any, ClassVar

from glip.datasets.annotation_file import (
    AnnotationFile,
    Skipped,
    box_problem,
    read_annotation_file,
    require,
)
from glip.datasets.base import BaseDetDataset
from glip.datasets.categories import match_categories
from glip.registry import DATASETS
from glip.text import load_vocabulary


@DATASETS.register_module()
class CocoDataset(BaseDetDataset):
    """Images with boxes of named categories, in COCO's format.

    The prompt of every image is the list of class names. Categories are matched by name: the ids in
    the file may have any order and gaps, and every name must be spelled as in the file.

    Invalid annotations are skipped and counted in one warning: boxes that are not four finite
    numbers, are smaller than one pixel, or are outside the image. A box that is partly outside is
    kept as it is (the pipeline clips it). Crowds, and annotations with a true ``ignore``, get
    ``ignore_flag=1``. Metrics read the file themselves, so skipped annotations do not change a
    score.

    The arguments are those of :class:`~glip.datasets.base.BaseDetDataset`. For training,
    ``filter_cfg`` may have ``filter_empty_gt`` (exclude images without trainable boxes) and
    ``min_size`` (exclude images whose shorter side has fewer pixels).

    Raises:
        AnnotationFileError: The annotation file is missing or unusable, its categories are not
            those of the config, or no image is left.
    """

    METAINFO: ClassVar[dict] = dict(classes=load_vocabulary("coco"))

    #: Whether categories with other names may be matched by the order of their ids.
    SAME_ORDER = False

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file; return a data info per image."""
        file = read_annotation_file(self.ann_file, self.backend_args)
        labels = self._labels(file)
        skipped, unused = file.skipped, Skipped("annotation")
        data_list = []
        for image in file.images:
            info = self.parse_image(image)
            instances = []
            for annotation in file.annotations[image["id"]]:
                label = labels.get(annotation.get("category_id"))
                if label is None:
                    unused.add("of categories that are not among the classes", annotation["id"])
                    continue
                problem = _problem(annotation, info["width"], info["height"])
                if problem is not None:
                    skipped.add(problem, f"id {annotation['id']}")
                    continue
                instances.append(_instance(annotation, label))
            data_list.append({**info, "instances": instances})
        skipped.log(f"{type(self).__name__} skipped in '{self.ann_file}'")
        unused.log(f"{type(self).__name__} does not use in '{self.ann_file}'")
        return data_list

    def _labels(self, file: AnnotationFile) -> dict[Any, int]:
        """Return the label of each category id that has a class."""
        used = {annotation.get("category_id") for annotation in file.all_annotations()}
        ids = match_categories(
            self._metainfo["classes"],
            file.categories,
            used,
            self.ann_file,
            same_order=self.SAME_ORDER,
        )
        return {key: label for label, key in enumerate(ids) if key is not None}

    def parse_image(self, image: dict[str, Any]) -> dict[str, Any]:
        """Return the data info of an image's entry in the file, without its boxes."""
        return dict(
            img_id=image["id"],
            img_path=osp.join(self.data_prefix["img"], self.file_name(image)),
            height=int(image.get("height") or 0),
            width=int(image.get("width") or 0),
        )

    def file_name(self, image: dict[str, Any]) -> str:
        """Return an image's path below ``data_prefix['img']``."""
        return require(image, "file_name", self.ann_file)

    def filter_data(self) -> list[dict[str, Any]]:
        """Exclude, in training, the images that ``filter_cfg`` describes."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        filter_empty = self.filter_cfg.get("filter_empty_gt", False)
        min_size = self.filter_cfg.get("min_size", 0)
        return [
            info
            for info in self.data_list
            if min(info["width"], info["height"]) >= min_size
            and not (filter_empty and all(each["ignore_flag"] for each in info["instances"]))
        ]


def _problem(annotation: dict[str, Any], width: int, height: int) -> str | None:
    """Return why an annotation cannot be used for training, or None if it can.

    Args:
        annotation: The entry of the file, with ``bbox`` (x, y, width, height).
        width: Width of the image in pixels, 0 if unknown.
        height: Height of the image in pixels, 0 if unknown.
    """
    problem = box_problem(annotation.get("bbox"))
    if problem is not None:
        return problem
    left, top, wide, high = annotation["bbox"]
    if wide < 1 or high < 1:
        return "smaller than one pixel"
    if width and height:
        inside_x = min(left + wide, width) - max(left, 0)
        inside_y = min(top + high, height) - max(top, 0)
        if inside_x <= 0 or inside_y <= 0:
            return "outside the image"
    return None


def _instance(annotation: dict[str, Any], label: int) -> dict[str, Any]:
    left, top, wide, high = annotation["bbox"]
    ignored = annotation.get("iscrowd") or annotation.get("ignore")
    return dict(
        bbox=[left, top, left + wide, top + high],
        bbox_label=label,
        ignore_flag=int(bool(ignored)),
    )
