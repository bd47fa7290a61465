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

    The prompt of every image is the list of class names. Categories are found by name: the ids of
    the file may have any order and gaps. Every name must be spelled as in the file.

    Annotations that mean nothing to a detector are left out and counted in one warning: boxes that
    are not four finite numbers, that are smaller than one pixel, or that lie outside the image. A
    box that lies partly outside stays as it is (the pipeline clips it). Crowds, and annotations
    with a true ``ignore``, are flagged to be ignored. Metrics read the file themselves; what is
    left out here does not change a score.

    The arguments are those of :class:`~glip.datasets.base.BaseDetDataset`. ``filter_cfg`` may hold,
    for training, ``filter_empty_gt`` (leave out images without boxes to learn from) and
    ``min_size`` (leave out images whose shorter side has fewer pixels).

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: the annotation file is absent or
            unusable, its categories are not those of the config, or no image is left.
    """

    METAINFO: ClassVar[dict] = dict(classes=load_vocabulary("coco"))

    #: Whether categories whose names differ may be found by their place in the list.
    SAME_ORDER = False

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file into one dictionary for each image."""
        file = read_annotation_file(self.ann_file, self.backend_args)
        labels = self._labels(file)
        skipped, unnamed = file.skipped, Skipped("annotation")
        data_list = []
        for image in file.images:
            info = self.parse_image(image)
            instances = []
            for annotation in file.annotations[image["id"]]:
                label = labels.get(annotation.get("category_id"))
                if label is None:
                    unnamed.add("of categories that are not among the classes", annotation["id"])
                    continue
                problem = _problem(annotation, info["width"], info["height"])
                if problem is not None:
                    skipped.add(problem, f"id {annotation['id']}")
                    continue
                instances.append(_instance(annotation, label))
            data_list.append({**info, "instances": instances})
        skipped.log(f"{type(self).__name__} left out of '{self.ann_file}'")
        unnamed.log(f"{type(self).__name__} does not use from '{self.ann_file}'")
        return data_list

    def _labels(self, file: AnnotationFile) -> dict[Any, int]:
        """Return the label of each category id that a class names."""
        used = {annotation.get("category_id") for annotation in file.all_annotations()}
        ids = match_categories(
            self._metainfo["classes"],
            file.categories,
            used,
            self.ann_file,
            same_order=self.SAME_ORDER,
        )
        return {number: label for label, number in enumerate(ids) if number is not None}

    def parse_image(self, image: dict[str, Any]) -> dict[str, Any]:
        """Turn the file's entry of an image into the data info, without its boxes."""
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
        """Leave out, when training, the images that ``filter_cfg`` says."""
        if self.test_mode or not self.filter_cfg:
            return self.data_list
        wants_boxes = self.filter_cfg.get("filter_empty_gt", False)
        min_size = self.filter_cfg.get("min_size", 0)
        return [
            info
            for info in self.data_list
            if min(info["width"], info["height"]) >= min_size
            and not (wants_boxes and all(each["ignore_flag"] for each in info["instances"]))
        ]


def _problem(annotation: dict[str, Any], width: int, height: int) -> str | None:
    """Say why a box cannot be learned from; None if it can.

    Args:
        annotation: the file's entry, its ``bbox`` as x, y, width, height.
        width: of the image in pixels, 0 if the file does not say.
        height: of the image in pixels, 0 if the file does not say.
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
