"""Phrase grounding on Flickr30k Entities: Recall@k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glip.evaluation.base_metric import BaseDetMetric, ImageResult
from glip.evaluation.predictions import Predictions
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.tables import log_table


@dataclass(frozen=True)
class _PhraseResult:
    """The detections of one phrase compared with its ground-truth boxes.

    Attributes:
        ious: (K,) the highest IoU of each detection with a ground-truth box, best score first.
        types: the phrase's types (people, animals, ...).
    """

    ious: np.ndarray
    types: tuple[str, ...]


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class Flickr30kMetric(BaseDetMetric):
    """Recall@k: the fraction of phrases with a correct box among their k best detections.

    ``Recall@1_all``, ``Recall@5_all``, ``Recall@10_all`` and ``Upper_bound_all`` (all detections of
    the phrase), and the same for each phrase type (``Recall@1_people``, ...) if the data set gives
    the types: fractions from 0 to 1. The names are the official code's.

    Two protocols (MDETR, section 4.1): *any box*, where a detection is correct if it overlaps one
    of the phrase's boxes; and *merged boxes*, where it has to overlap the smallest box that
    encloses all of them.

    A phrase's detections are those of its label, ranked by score. The official code compares boxes
    that are one pixel smaller on the right and at the bottom (they end in their last pixel).

    The data set gives ``phrase_boxes`` and ``phrase_types`` of each caption (see
    :class:`~glip.datasets.flickr30k.Flickr30kDataset`). Otherwise the boxes come from
    ``gt_instances``, ``phrase_ids`` and ``phrases``, in pixels of the original image.

    Args:
        topk: the values of k; -1 for all detections.
        iou_thrs: the least IoU of a correct box.
        merge_boxes: whether to use the protocol *merged boxes* instead of *any box*.

    The other arguments are those of :class:`~glip.evaluation.base_metric.BaseDetMetric`.

    Raises:
        DataError: a k is neither positive nor -1.
    """

    default_prefix = "flickr30k"

    topk: Sequence[int] = (1, 5, 10, -1)
    iou_thrs: float = 0.5
    merge_boxes: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        invalid = [k for k in self.topk if k != -1 and k < 1]
        if invalid:
            raise DataError(f"topk has {invalid}; expected numbers from 1, or -1 for no limit.")

    def extract(self, sample: dict, predictions: Predictions) -> list[_PhraseResult]:
        """Return the IoU of each phrase's detections with its boxes; skip phrases without boxes."""
        ranked = predictions.sort_by_score()
        boxes_per_phrase = _phrase_boxes(sample)
        types = sample.get("phrase_types") or [()] * len(boxes_per_phrase)
        phrases = []
        for label, (boxes, phrase_types) in enumerate(zip(boxes_per_phrase, types, strict=True)):
            if len(boxes) == 0:
                continue
            if self.merge_boxes:
                boxes = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
            ious = ranked[ranked.labels == label].iou(boxes).max(axis=1)
            phrases.append(_PhraseResult(ious, tuple(phrase_types)))
        return phrases

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Compute and log the recall of each phrase type."""
        images = self.unique_images(results)
        phrases = [phrase for phrases in images.values() for phrase in phrases]
        if not phrases:
            self.warn("no phrase has a box, so there is nothing to measure.")
            return {}
        total: Counter[str] = Counter()
        found: Counter[tuple[int, str]] = Counter()
        for phrase in phrases:
            types = ("all", *phrase.types)
            total.update(types)
            for k in self.topk:
                ious = phrase.ious if k == -1 else phrase.ious[:k]
                if (ious >= self.iou_thrs).any():
                    found.update((k, each) for each in types)
        columns = ["all", *sorted(each for each in total if each != "all")]
        recall = {(k, each): found[k, each] / total[each] for k in self.topk for each in columns}
        rows = [[_metric_name(k), *(recall[k, each] for each in columns)] for k in self.topk]
        rows.append(["phrases", *(total[each] for each in columns)])
        log_table(["", *columns], rows)
        return {f"{_metric_name(k)}_{each}": value for (k, each), value in recall.items()}


def _phrase_boxes(sample: dict) -> list[np.ndarray]:
    """Return the ground-truth boxes (n, 4) of each phrase."""
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


def _metric_name(k: int) -> str:
    return "Upper_bound" if k == -1 else f"Recall@{k}"
