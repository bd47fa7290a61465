"""Transforms of the annotated boxes. G is the number of annotated objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from glip.registry import TRANSFORMS
from glip.utils.errors import DataError

# Arrays with one entry per annotated object.
_PER_OBJECT_KEYS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags")

#: Images without a box left, after which a filter must be a mistake: those of the data set, within
#: these limits.
_MIN_EMPTIED, _MAX_EMPTIED = 10, 200


@TRANSFORMS.register_module(name=["GTBoxSubOne", "GTBoxSubOne_GLIP"])
class GTBoxSubOne(BaseTransform):
    """Convert continuous boxes to the inclusive boxes on which GLIP is trained.

    Reads and writes ``gt_bboxes`` (G, 4), if present: 1 is subtracted from x2 and y2, which become
    the last pixel in the box. Place it before transforms that move boxes, and use
    ``RandomFlip_GLIP`` with it.
    """

    def transform(self, results: dict) -> dict:
        """Convert the boxes."""
        if results.get("gt_bboxes") is not None:
            results["gt_bboxes"] = results["gt_bboxes"] - np.array([0, 0, 1, 1], dtype=np.float32)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Remove boxes that are too small for training.

    Reads and writes ``gt_bboxes`` (G, 4) and, if present, ``gt_bboxes_labels`` (G,) and
    ``gt_ignore_flags`` (G,). A box is kept if x2 - x1 and y2 - y1 are **greater** than the limits.
    An image that has no boxes is returned unchanged.

    Args:
        min_gt_bbox_wh: Limits of width and height in pixels.
        by_box: Must be True; there is no other criterion.
        keep_empty: If no box is kept, return None, so that the data set replaces the image. (The
            name, which says the opposite, is MMDetection's.) If False, return the image without
            boxes.

    Raises:
        ValueError: ``by_box`` is False.
        DataError: With ``keep_empty=False``, no image of the data set has a box left (on use).
    """

    def __init__(
        self,
        min_gt_bbox_wh: tuple[float, float] = (1, 1),
        by_box: bool = True,
        keep_empty: bool = True,
    ) -> None:
        if not by_box:
            raise ValueError(
                "FilterAnnotations filters by box size only, got by_box=False; to filter nothing, "
                "remove the transform from the pipeline."
            )
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.keep_empty = keep_empty
        self._dataset: Any = None
        self._emptied: int | None = 0  # images without a box left, None after one with a box

    def use_dataset(self, dataset: Any) -> None:
        """Check the number of images of this data set that have a box left."""
        self._dataset = dataset

    def transform(self, results: dict) -> dict | None:
        """Filter the boxes; None if no box is kept and ``keep_empty`` is set."""
        boxes = results["gt_bboxes"]
        if len(boxes) == 0:
            return results
        min_width, min_height = self.min_gt_bbox_wh
        keep = (boxes[:, 2] - boxes[:, 0] > min_width) & (boxes[:, 3] - boxes[:, 1] > min_height)
        if self.keep_empty and not keep.any():
            return None
        if self._emptied is not None and self._dataset is not None:
            self._emptied = None if keep.any() else self._emptied + 1
            self._check_emptied()
        keep_objects(results, keep)
        return results

    def _check_emptied(self) -> None:
        """Stop a training in which no image has a box: its only target would be background."""
        if self._emptied == min(max(len(self._dataset), _MIN_EMPTIED), _MAX_EMPTIED):
            raise DataError(
                f"{self} left no box of the first {self._emptied} images of "
                f"'{self._dataset.ann_file}': lower min_gt_bbox_wh, which is in pixels of the "
                "resized image."
            )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(min_gt_bbox_wh={self.min_gt_bbox_wh}, "
            f"keep_empty={self.keep_empty})"
        )


def keep_objects(results: dict, keep: np.ndarray) -> None:
    """Remove annotated objects, in place.

    Args:
        results: Results of a pipeline, with annotations of G objects.
        keep: Mask (G,), bool, of the objects to keep.
    """
    for key in _PER_OBJECT_KEYS:
        if key in results:
            results[key] = results[key][keep]
