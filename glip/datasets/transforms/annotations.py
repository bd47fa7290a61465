"""Transforms that touch only the annotated boxes. G is their number."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from glip.registry import TRANSFORMS

# What is kept for each annotated object.
_PER_OBJECT_KEYS = ("gt_bboxes", "gt_bboxes_labels", "gt_ignore_flags")


@TRANSFORMS.register_module(name=["GTBoxSubOne", "GTBoxSubOne_GLIP"])
class GTBoxSubOne(BaseTransform):
    """Turn the usual continuous boxes into the inclusive ones that GLIP trains on.

    Reads and writes ``gt_bboxes`` (G, 4), where present: x2 and y2 become one smaller, the last
    pixel in the box. To be used before anything moves the boxes; the matching flip is
    ``RandomFlip_GLIP``.
    """

    def transform(self, results: dict) -> dict:
        """Replace the boxes."""
        if results.get("gt_bboxes") is not None:
            results["gt_bboxes"] = results["gt_bboxes"] - np.array([0, 0, 1, 1], dtype=np.float32)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@TRANSFORMS.register_module()
class FilterAnnotations(BaseTransform):
    """Leave out boxes that are too small to learn from.

    Reads ``gt_bboxes`` (G, 4) and writes it and, where present, ``gt_bboxes_labels`` (G,) and
    ``gt_ignore_flags`` (G,). A box stays if x2 - x1 and y2 - y1 are **greater** than the limits. An
    image that had no boxes to begin with passes unchanged.

    Args:
        min_gt_bbox_wh: the limits on width and height in pixels.
        by_box: must be True; there is nothing else here to filter by.
        keep_empty: if no box stays, give None, so that the data set takes another image. (The name
            says the opposite; it is mmdet's.) If False, the image goes on without boxes.
    """

    def __init__(
        self,
        min_gt_bbox_wh: tuple[float, float] = (1, 1),
        by_box: bool = True,
        keep_empty: bool = True,
    ) -> None:
        if not by_box:
            raise ValueError(
                "FilterAnnotations filters by the size of the boxes only, but got by_box=False; "
                "to filter nothing, leave the transform out of the pipeline."
            )
        self.min_gt_bbox_wh = min_gt_bbox_wh
        self.keep_empty = keep_empty

    def transform(self, results: dict) -> dict | None:
        """Replace the annotations; None where none is left and ``keep_empty`` is set."""
        boxes = results["gt_bboxes"]
        if len(boxes) == 0:
            return results
        min_width, min_height = self.min_gt_bbox_wh
        keep = (boxes[:, 2] - boxes[:, 0] > min_width) & (boxes[:, 3] - boxes[:, 1] > min_height)
        if self.keep_empty and not keep.any():
            return None
        keep_objects(results, keep)
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(min_gt_bbox_wh={self.min_gt_bbox_wh}, "
            f"keep_empty={self.keep_empty})"
        )


def keep_objects(results: dict, keep: np.ndarray) -> None:
    """Leave out annotated objects, in place.

    Args:
        results: of a pipeline, with annotations of G objects.
        keep: (G,) bool, which to keep.
    """
    for key in _PER_OBJECT_KEYS:
        if key in results:
            results[key] = results[key][keep]
