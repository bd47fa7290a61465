"""Phrase grounding on Flickr30k Entities: Recall@k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glip.evaluation.image_metric import ImageMetric, Predictions
from glip.evaluation.overlaps import box_iou
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.tables import log_table


@dataclass(frozen=True)
class _Phrase:
    """What is kept of a phrase.

    Attributes:
        overlaps: (K,) best IoU of each of its detections with one of its boxes, best score first.
        types: the kinds of thing it names.
    """

    overlaps: np.ndarray
    types: tuple[str, ...]


@METRICS.register_module()
class Flickr30kMetric(ImageMetric):
    """The share of phrases for which a box among the k best overlaps a true one.

    ``Recall@1_all``, ``Recall@5_all``, ``Recall@10_all`` and ``Upper_bound_all`` (any of the
    phrase's detections), and the same for each kind of phrase (``Recall@1_people``, ...) where the
    data set knows the kinds: fractions from 0 to 1. The names are the official code's.

    Two protocols (MDETR, section 4.1): *any box*, where a phrase of several things is found if one
    of its boxes is; and *merged boxes*, where the true box is the smallest around all of them.

    A phrase's detections are those of its label, ranked by score. The official code compares its
    own boxes, which are one pixel smaller to the right and bottom (they end in their last pixel).

    The data set gives for each caption ``phrase_boxes`` and ``phrase_types`` (see
    :class:`~glip.datasets.flickr30k.Flickr30kDataset`); without them the boxes are read from
    ``gt_instances``, ``phrase_ids`` and ``phrases``, in pixels of the original image.

    Args:
        topk: the ks; -1 means all detections.
        iou_thrs: an IoU of at least this counts as found.
        merge_boxes: the protocol: merged boxes instead of any box.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        DataError: a k is neither positive nor -1.
    """

    default_prefix = "flickr30k"

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10, -1),
        iou_thrs: float = 0.5,
        merge_boxes: bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        wrong = [k for k in topk if k != -1 and k < 1]
        if wrong:
            raise DataError(f"topk has {wrong}; expected numbers from 1, or -1 for no limit.")
        self.topk = tuple(topk)
        self.iou_thrs = iou_thrs
        self.merge_boxes = merge_boxes

    def read_sample(self, sample: dict, predictions: Predictions) -> list[_Phrase]:
        """Keep, for each phrase that has boxes, how well its detections overlap them."""
        ranked = predictions.best_first()
        boxes = _boxes_of(sample)
        types = sample.get("phrase_types") or [()] * len(boxes)
        kept = []
        for label, (truth, kinds) in enumerate(zip(boxes, types, strict=True)):
            if len(truth) == 0:
                continue
            if self.merge_boxes:
                truth = np.concatenate([truth[:, :2].min(axis=0), truth[:, 2:].max(axis=0)])[None]
            found = ranked.bboxes[ranked.labels == label]
            kept.append(_Phrase(box_iou(found, truth).max(axis=1), tuple(kinds)))
        return kept

    def score(self, images: dict[Any, list[_Phrase]]) -> dict[str, float]:
        """Count the phrases that are found."""
        phrases = [phrase for kept in images.values() for phrase in kept]
        if not phrases:
            self.warn("there is no phrase with a box, so there is nothing to measure.")
            return {}
        total: Counter[str] = Counter()
        found: Counter[tuple[int, str]] = Counter()
        for phrase in phrases:
            kinds = ("all", *phrase.types)
            total.update(kinds)
            for k in self.topk:
                considered = phrase.overlaps if k == -1 else phrase.overlaps[:k]
                if (considered >= self.iou_thrs).any():
                    found.update((k, kind) for kind in kinds)
        columns = ["all", *sorted(kind for kind in total if kind != "all")]
        recall = {(k, kind): found[k, kind] / total[kind] for k in self.topk for kind in columns}
        rows = [[_name(k), *(recall[k, kind] for kind in columns)] for k in self.topk]
        rows.append(["phrases", *(total[kind] for kind in columns)])
        log_table(["", *columns], rows)
        return {f"{_name(k)}_{kind}": value for (k, kind), value in recall.items()}


def _boxes_of(sample: dict) -> list[np.ndarray]:
    """Return the true boxes (n, 4) of each phrase."""
    if sample.get("phrase_boxes") is not None:
        return [np.array(boxes, float).reshape(-1, 4) for boxes in sample["phrase_boxes"]]
    missing = [key for key in ("gt_instances", "phrase_ids", "phrases") if key not in sample]
    if missing:
        raise DataError(
            f"Flickr30kMetric finds neither 'phrase_boxes' nor {missing} in the data sample: use "
            "Flickr30kDataset with test_mode=True."
        )
    boxes = np.asarray(sample["gt_instances"]["bboxes"], float).reshape(-1, 4)
    owners = np.asarray(sample["phrase_ids"])
    return [boxes[owners == label] for label in range(len(sample["phrases"]))]


def _name(k: int) -> str:
    return "Upper_bound" if k == -1 else f"Recall@{k}"
