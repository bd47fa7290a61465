"""Referring expressions: RefCOCO, RefCOCO+ and RefCOCOg in MDETR's format."""

from __future__ import annotations

import os.path as osp
from typing import Any

from glip.datasets.annotation_file import read_annotation_file, require
from glip.datasets.base import BaseDetDataset
from glip.datasets.image_paths import correct_paths
from glip.registry import DATASETS


@DATASETS.register_module()
class MDETRStyleRefCocoDataset(BaseDetDataset):
    """Sentences that refer to one object each: ``finetune_refcoco{,+,g}_{val,testA,testB}.json``.

    Each entry of the file is an image with one expression. The whole expression is the prompt's
    only phrase, so every detection has label 0. The data info has, besides the keys of all data
    sets, ``dataset_mode``, the source of the expression (``refcoco``, ``refcoco+``, ``refcocog``).

    The arguments are those of :class:`~glip.datasets.base.BaseDetDataset`; this data set is for
    evaluation.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: the annotation file is absent or
            unusable, or nothing is left.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the annotation file into one dictionary for each expression."""
        file = read_annotation_file(self.ann_file, self.backend_args)
        data_list = []
        for image in file.images:
            instances = []
            for entry in file.annotations[image["id"]]:
                left, top, wide, high = entry["bbox"]
                box = [left, top, left + wide, top + high]
                instances.append(dict(bbox=box, bbox_label=0, ignore_flag=0))
            data_list.append(
                dict(
                    img_id=image["id"],
                    img_path=osp.join(
                        self.data_prefix["img"], require(image, "file_name", self.ann_file)
                    ),
                    height=image.get("height", 0),
                    width=image.get("width", 0),
                    dataset_mode=image.get("dataset_name", "refexp"),
                    text=require(image, "caption", self.ann_file),
                    custom_entities=False,
                    tokens_positive=-1,
                    instances=instances,
                )
            )
        num_boxes = sum(len(info["instances"]) for info in data_list)
        file.check_not_all_skipped(num_boxes, [file.skipped])
        file.skipped.log(f"{type(self).__name__} skipped in '{self.ann_file}'")
        file.warn_of_unusual()
        correct_paths(data_list, self.data_prefix["img"], self.ann_file, self.backend_args)
        return data_list
