"""Detection data sets in COCO's format: COCO, ODinW, your own."""

from __future__ import annotations

import logging
import os.path as osp
from typing import Any, ClassVar

from mmengine.logging import print_log

from glip.datasets.annotation_entries import category_problem
from glip.datasets.annotation_file import AnnotationFile, Skipped, read_annotation_file, require
from glip.datasets.base import BaseDetDataset
from glip.datasets.categories import match_categories
from glip.datasets.image_paths import correct_paths
from glip.datasets.image_sizes import fill_sizes
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
        infos = [self.parse_image(image) for image in file.images]
        correct_paths(infos, self.data_prefix["img"], self.ann_file, self.backend_args)
        fill_sizes(infos, self.backend_args)
        category_ids = {category["id"] for category in file.categories}
        skipped, unused = file.skipped, Skipped("annotation")
        kept = crowds = 0
        data_list = []
        for image, info in zip(file.images, infos, strict=True):
            instances = []
            for annotation in file.annotations[image["id"]]:
                label = labels.get(annotation.get("category_id"))
                if label is None:
                    problem = category_problem(annotation, category_ids)
                    (skipped if problem else unused).add(
                        problem or "of categories that are not among the classes",
                        f"id {annotation['id']}",
                        annotation,
                    )
                    continue
                problem = _problem(annotation, info["width"], info["height"])
                if problem is not None:
                    skipped.add(problem, f"id {annotation['id']}", annotation)
                    continue
                instances.append(_instance(annotation, label))
            crowds += sum(each["ignore_flag"] for each in instances)
            kept += len(instances)
            data_list.append({**info, "instances": instances})
        self._check_annotations(file, kept, crowds, unused)
        skipped.log(f"{type(self).__name__} skipped in '{self.ann_file}'")
        unused.log(f"{type(self).__name__} does not use in '{self.ann_file}'")
        file.warn_of_unusual()
        return data_list

    def _check_annotations(
        self, file: AnnotationFile, kept: int, crowds: int, unused: Skipped
    ) -> None:
        """Check that the model can learn from, or be evaluated on, some of the annotations.

        Args:
            file: The annotation file; its ``skipped`` is complete.
            kept: The number of boxes.
            crowds: How many of them are crowds, or ignored.
            unused: The annotations of other categories.
        """
        if self.test_mode:
            file.check_not_all_skipped(kept + unused.total, [file.skipped])
            if kept == crowds:
                print_log(
                    f"'{self.ann_file}' has no box of the classes to evaluate on, so that the "
                    "metrics are -1",
                    logger="current",
                    level=logging.WARNING,
                )
            return
        ignored = Skipped("annotation")
        if crowds:
            ignored.add("that are crowds or are to be ignored", "iscrowd or ignore", count=crowds)
        file.check_not_all_skipped(kept - crowds, [file.skipped, unused, ignored])

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
            height=image.get("height", 0),
            width=image.get("width", 0),
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
            if (min(info["width"], info["height"]) >= min_size or not info["width"])  # 0: unknown
            and not (filter_empty and all(each["ignore_flag"] for each in info["instances"]))
        ]


def _problem(annotation: dict[str, Any], width: int, height: int) -> str | None:
    """Return why an annotation cannot be used for training, or None if it can.

    Args:
        annotation: The entry of the file, with ``bbox`` (x, y, width, height), finite.
        width: Width of the image in pixels, 0 if unknown.
        height: Height of the image in pixels, 0 if unknown.
    """
    left, top, wide, high = annotation["bbox"]
    if wide < 0 or high < 0:
        return "with a negative width or height"
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
    return dict(
        bbox=[left, top, left + wide, top + high],
        bbox_label=label,
        ignore_flag=annotation.get("iscrowd", 0) or annotation.get("ignore", 0),
    )
