"""Average precision as COCO defines it, computed by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from glip.evaluation.annotated_metric import AnnotatedMetric
from glip.evaluation.ground_truth import GroundTruth, results_of
from glip.evaluation.image_metric import Predictions
from glip.registry import METRICS
from glip.utils.errors import DataError
from glip.utils.tables import log_table

#: Areas of pycocotools, in its order: all, below 32² pixels, up to 96², above.
_AREAS = ("", "_s", "_m", "_l")


@METRICS.register_module()
class CocoMetric(AnnotatedMetric):
    """The twelve numbers of the COCO challenge for boxes, exactly as pycocotools gives them.

    ``bbox_mAP`` (IoU 0.50 to 0.95), ``bbox_mAP_50``, ``bbox_mAP_75``, ``bbox_mAP_s``, ``_m``,
    ``_l`` (small, medium, large objects), and ``bbox_AR@1``, ``@10``, ``@100``, ``bbox_AR_s@100``,
    ``_m``, ``_l``: fractions from 0 to 1, or -1 where the file has nothing of the kind.

    Scored are the images that were run; a warning says so when these are not all of the file.
    Classes are found in the file by name.

    Args:
        ann_file: the annotation file; by default the data set's.
        metric: ``'bbox'``.
        classwise: also give each class's AP, ``<name>_precision`` (NaN where nothing is annotated),
            and log a table.
        class_groups: names of groups of classes and their class names, for example
            ``dict(seen=[...], held_out=[...])``: also give ``bbox_mAP_<group>`` and
            ``bbox_mAP_50_<group>``, averaged over the classes of each group.
        proposal_nums: numbers of detections an image and class; AP counts the largest.
        iou_thrs: the IoU thresholds, by default 0.50 to 0.95 in steps of 0.05. Without 0.5 and 0.75
            there is no ``mAP_50`` and ``mAP_75``.
        metric_items: the numbers to give, for example ``['mAP', 'AR@100']``; by default all.
        format_only: write the detections, score nothing.
        outfile_prefix: write the detections to ``<prefix>.bbox.json`` in COCO's result format.
        backend_args: mmengine's file backend and its settings.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        DataError: an argument is not one of those above.
        glip.datasets.annotation_file.AnnotationFileError: the annotation file is absent, unusable,
            or does not have the classes (when the data set is known).
    """

    default_prefix = "coco"

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = "bbox",
        classwise: bool = False,
        class_groups: Mapping[str, Sequence[str]] | None = None,
        proposal_nums: Sequence[int] = (1, 10, 100),
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(
            ann_file,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        check_metric(metric)
        if format_only and outfile_prefix is None:
            raise DataError("format_only=True writes the detections: set outfile_prefix to where.")
        if len(proposal_nums) != 3:
            raise DataError(f"expected three proposal_nums, as (1, 10, 100), got {proposal_nums}.")
        self.classwise = classwise
        self.class_groups = {name: tuple(group) for name, group in (class_groups or {}).items()}
        self.proposal_nums = sorted(proposal_nums)
        self.iou_thrs = None if iou_thrs is None else np.atleast_1d(np.array(iou_thrs, float))
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        known = list(_summary_keys(self.proposal_nums))
        known += [f"{key}_{group}" for group in self.class_groups for key in ("mAP", "mAP_50")]
        unknown = [item for item in metric_items or () if item not in known]
        if unknown:
            raise DataError(f"metric_items has {unknown}; expected some of {known}.")
        self.metric_items = metric_items

    def load_truth(self, meta: dict) -> GroundTruth:
        """Read the annotation file, and see to it that groups are of the data set's classes."""
        truth = super().load_truth(meta)
        for group, members in self.class_groups.items():
            unknown = sorted(set(members) - set(truth.classes))
            if unknown:
                raise DataError(
                    f"class_groups[{group!r}] has {unknown}; expected names of the data set's "
                    f"classes, {list(truth.classes)}."
                )
        return truth

    def score(self, images: dict[Any, Predictions]) -> dict[str, float]:
        """Compute the numbers."""
        results = _results(self.truth, images)
        if self.outfile_prefix is not None:
            write_results(results, self.outfile_prefix)
        if self.format_only:
            return {}
        evaluation = self._evaluate(self.truth, results, self.scored_images(images))
        numbers = {**self._summary(evaluation), **self._by_group(evaluation)}
        log_table(["bbox", ""], [[key, value] for key, value in numbers.items()])
        wanted = self.metric_items if self.metric_items is not None else list(numbers)
        summary = {f"bbox_{key}": numbers[key] for key in wanted if key in numbers}
        return {**summary, **(self._by_class(evaluation) if self.classwise else {})}

    def measure(self, truth: GroundTruth, images: dict[Any, Predictions]) -> dict[str, float]:
        """Compute the numbers, and log nothing."""
        return self._summary(self._evaluate(truth, _results(truth, images), list(images)))

    def _evaluate(
        self, truth: GroundTruth, results: list[dict[str, Any]], img_ids: list[Any]
    ) -> Any:
        """Run pycocotools; return its COCOeval."""
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            annotated = COCO()
            annotated.dataset = dict(
                images=truth.file.images,
                categories=truth.file.categories,
                annotations=list(truth.file.all_annotations()),
            )
            annotated.createIndex()
            if results:
                found = annotated.loadRes(results)
            else:  # which loadRes does not take
                found = COCO()
                found.dataset = {**annotated.dataset, "annotations": []}
                found.createIndex()
            evaluation = COCOeval(annotated, found, "bbox")
            evaluation.params.imgIds = img_ids
            evaluation.params.catIds = truth.scored_ids
            evaluation.params.maxDets = list(self.proposal_nums)
            if self.iou_thrs is not None:
                evaluation.params.iouThrs = self.iou_thrs
            evaluation.evaluate()
            evaluation.accumulate()
        return evaluation

    def _summary(self, evaluation: Any) -> dict[str, float]:
        """Average what pycocotools counted, in the order of its own summary."""
        precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
        recall = evaluation.eval["recall"]  # (IoU, class, area, detections)
        numbers = {"mAP": mean_of(precision[..., 0, -1])}
        for name, threshold in (("mAP_50", 0.5), ("mAP_75", 0.75)):
            at = np.isclose(evaluation.params.iouThrs, threshold)
            if at.any():
                numbers[name] = mean_of(precision[at, ..., 0, -1])
        for area in (1, 2, 3):
            numbers[f"mAP{_AREAS[area]}"] = mean_of(precision[..., area, -1])
        for at, count in enumerate(self.proposal_nums):
            numbers[f"AR@{count}"] = mean_of(recall[..., 0, at])
        for area in (1, 2, 3):
            key = f"AR{_AREAS[area]}@{self.proposal_nums[-1]}"
            numbers[key] = mean_of(recall[..., area, -1])
        return numbers

    def _by_group(self, evaluation: Any) -> dict[str, float]:
        """Average over the classes of each group."""
        precision = evaluation.eval["precision"]  # (IoU, recall, class, area, detections)
        names = self.truth.names()
        known = [names[category_id] for category_id in evaluation.params.catIds]
        half = np.isclose(evaluation.params.iouThrs, 0.5)
        numbers = {}
        for group, members in self.class_groups.items():
            at = [index for index, name in enumerate(known) if name in members]
            numbers[f"mAP_{group}"] = mean_of(precision[:, :, at, 0, -1])
            if half.any():
                numbers[f"mAP_50_{group}"] = mean_of(precision[half][:, :, at, 0, -1])
        return numbers

    def _by_class(self, evaluation: Any) -> dict[str, float]:
        """Give each class's AP and log the table."""
        precision = evaluation.eval["precision"]
        thresholds = evaluation.params.iouThrs
        names = self.truth.names()
        rows: list[list] = []
        numbers: dict[str, float] = {}
        for at, category_id in enumerate(evaluation.params.catIds):
            of_class = precision[:, :, at]  # (IoU, recall, area, detections)
            picks = [of_class[..., 0, -1]]
            picks += [of_class[np.isclose(thresholds, each), :, 0, -1] for each in (0.5, 0.75)]
            picks += [of_class[..., area, -1] for area in (1, 2, 3)]
            name = names[category_id]
            rows.append([name, *(mean_of(pick) for pick in picks)])
            value = rows[-1][1]
            numbers[f"{name}_precision"] = float("nan") if value == -1 else value
        header = ["category", *(f"mAP{each}" for each in ("", "_50", "_75", *_AREAS[1:]))]
        log_table(header, rows)
        return numbers


def _results(truth: GroundTruth, images: dict[Any, Predictions]) -> list[dict[str, Any]]:
    """Write the detections in all images in COCO's result format."""
    ids = truth.category_ids
    return [row for key, kept in images.items() for row in results_of(key, kept, ids)]


def mean_of(values: np.ndarray) -> float:
    """Average the entries that were measured; -1 where none was, as COCO's tools write it."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else -1.0


def check_metric(metric: str | Sequence[str]) -> None:
    """See to it that a metric for boxes is asked for.

    Raises:
        DataError: another one is.
    """
    if ([metric] if isinstance(metric, str) else list(metric)) != ["bbox"]:
        raise DataError(f"GLIP detects boxes, so metric must be 'bbox', but got {metric!r}.")


def write_results(results: list[dict[str, Any]], outfile_prefix: str) -> Path:
    """Write detections in COCO's result format to ``<outfile_prefix>.bbox.json``."""
    path = Path(f"{outfile_prefix}.bbox.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    fileio.dump(results, path)
    print_log(f"{len(results)} detections are written to {path}", logger="current")
    return path


def _summary_keys(proposal_nums: Sequence[int]) -> Sequence[str]:
    """Name the twelve numbers."""
    first = ["mAP", "mAP_50", "mAP_75", "mAP_s", "mAP_m", "mAP_l"]
    recalls = [f"AR@{count}" for count in proposal_nums]
    return [*first, *recalls, *(f"AR{area}@{proposal_nums[-1]}" for area in _AREAS[1:])]
