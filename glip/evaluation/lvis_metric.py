"""Average precision on LVIS: the standard one, and the fixed one that GLIP reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from glip.evaluation.annotated_metric import AnnotatedMetric
from glip.evaluation.coco_metric import check_metric, mean_of, write_results
from glip.evaluation.federated import (
    AREA_RANGES,
    IOU_THRESHOLDS,
    Boxes,
    FederatedTruth,
    PrecisionRecall,
    evaluate,
)
from glip.evaluation.ground_truth import GroundTruth, check_labels
from glip.evaluation.image_metric import Predictions
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileError, DataError
from glip.utils.tables import log_table

_FREQUENCIES = ("r", "c", "f")
#: The numbers of LVIS, in the order of the lvis package.
_KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf", "AR", "ARs", "ARm", "ARl")


class _FederatedMetric(AnnotatedMetric):
    """What the two protocols share: all but which detections they look at.

    Args:
        ann_file: the annotation file in LVIS's format; by default the data set's.
        classwise: also give each class's AP, ``<name>_precision`` (NaN where nothing is annotated).
        format_only: write the detections, score nothing.
        outfile_prefix: write the detections to ``<prefix>.bbox.json`` in COCO's result format.
        backend_args: mmengine's file backend and its settings.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with.
        collect_dir: a folder all processes share, for gathering on the CPU.
    """

    #: Some copies of LVIS clean the names of the categories.
    SAME_ORDER = True

    def __init__(
        self,
        ann_file: str | None = None,
        *,
        classwise: bool = False,
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
        if format_only and outfile_prefix is None:
            raise DataError("format_only=True writes the detections: set outfile_prefix to where.")
        self.classwise = classwise
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix

    def load_truth(self, meta: dict) -> GroundTruth:
        """Read the annotation file and see to it that it is federated."""
        truth = super().load_truth(meta)
        for image in truth.file.images:
            if "neg_category_ids" not in image or "not_exhaustive_category_ids" not in image:
                raise AnnotationFileError(
                    f"'{truth.file.path}' is not in LVIS's format: image {image['id']} has no "
                    "'neg_category_ids' or no 'not_exhaustive_category_ids'. For annotations in "
                    "COCO's format use CocoMetric."
                )
        return truth

    def choose(self, detections: Boxes) -> Boxes:
        """Return the detections that the protocol looks at, of those sorted by image."""
        raise NotImplementedError

    def report(self, numbers: dict[str, float]) -> dict[str, float]:
        """Name and choose the numbers to give."""
        raise NotImplementedError

    def score(self, images: dict[Any, Predictions]) -> dict[str, float]:
        """Compute the numbers."""
        img_ids = self.scored_images(images)
        detections = self.choose(_gather(self.truth, images, img_ids))
        if self.outfile_prefix is not None:
            results = _as_results(detections, img_ids, self.truth.scored_ids)
            write_results(results, self.outfile_prefix)
        if self.format_only:
            return {}
        measured = evaluate(_federate(self.truth, img_ids), detections)
        numbers = self.report(_summary(measured, _frequency_groups(self.truth)))
        log_table(["bbox", ""], [[key, value] for key, value in numbers.items()])
        return {**numbers, **(self._by_class(measured) if self.classwise else {})}

    def measure(self, truth: GroundTruth, images: dict[Any, Predictions]) -> dict[str, float]:
        """Compute the numbers, and log nothing."""
        img_ids = sorted(images)
        detections = self.choose(_gather(truth, images, img_ids))
        measured = evaluate(_federate(truth, img_ids), detections)
        return _summary(measured, _frequency_groups(truth))

    def _by_class(self, measured: PrecisionRecall) -> dict[str, float]:
        """Give each class's AP and log the table."""
        names = self.truth.names()
        rows, numbers = [], {}
        for at, category_id in enumerate(self.truth.scored_ids):
            value = mean_of(measured.precision[:, :, at, 0])
            rows.append([names[category_id], value])
            numbers[f"{names[category_id]}_precision"] = float("nan") if value == -1 else value
        log_table(["category", "AP"], rows)
        return numbers


@METRICS.register_module()
class LVISMetric(_FederatedMetric):
    """Standard AP on LVIS: the best 300 detections of each image count.

    ``bbox_AP``, ``bbox_AP50``, ``bbox_AP75``, ``bbox_APs``, ``APm``, ``APl`` (small, medium, large
    objects), ``bbox_APr``, ``APc``, ``APf`` (rare, common, frequent categories), ``bbox_AR@300``,
    ``ARs@300``, ``ARm@300`` and ``ARl@300``: fractions from 0 to 1, -1 where there is nothing to
    measure, equal to those of the ``lvis`` package, which need not be installed.

    Args:
        ann_file: the annotation file in LVIS's format; by default the data set's.
        metric: ``'bbox'``.
        classwise: also give each class's AP, ``<name>_precision`` (NaN where nothing is annotated).
        max_dets: how many detections of an image count.
        metric_items: the numbers to give, for example ``['AP', 'APr']``; by default all.
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

    default_prefix = "lvis"

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] = "bbox",
        classwise: bool = False,
        max_dets: int = 300,
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
            classwise=classwise,
            format_only=format_only,
            outfile_prefix=outfile_prefix,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        check_metric(metric)
        self._keys = [key + f"@{max_dets}" * key.startswith("AR") for key in _KEYS]
        unknown = [item for item in metric_items or () if item not in self._keys]
        if unknown:
            raise DataError(f"metric_items has {unknown}; expected some of {self._keys}.")
        self.max_dets = max_dets
        self.metric_items = metric_items

    def choose(self, detections: Boxes) -> Boxes:
        """Return the best of each image, in the order given."""
        order = np.lexsort((-detections.score, detections.image))
        images = detections.image[order]
        rank = np.arange(len(order)) - np.searchsorted(images, images)
        return detections[np.sort(order[rank < self.max_dets])]

    def report(self, numbers: dict[str, float]) -> dict[str, float]:
        """Name and choose the numbers."""
        wanted = self.metric_items if self.metric_items is not None else self._keys
        by_key = dict(zip(self._keys, numbers.values(), strict=True))
        return {f"bbox_{key}": by_key[key] for key in wanted}


@METRICS.register_module()
class LVISFixedAPMetric(_FederatedMetric):
    """Fixed AP on LVIS: the best 10,000 detections of each class over the data set count.

    With a limit for each image, the classes compete for places in it, and AP rewards scores that
    are comparable between classes. Dave, Dollár, Ramanan, Kirillov and Girshick, "Evaluating
    Large-Vocabulary Object Detectors: The Devil is in the Details" (2021, arXiv:2102.01066),
    propose this instead; MDETR and GLIP report it. No image has a limit here. (How many detections
    a model gives for an image is the model's ``max_per_img``: 300 in GLIP's protocol.)

    ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl`` (small, medium, large objects), ``APr``,
    ``APc``, ``APf`` (rare, common, frequent categories): fractions from 0 to 1, -1 where there is
    nothing to measure. Among equal scores the images go in rising order of id.

    Args:
        ann_file: the annotation file in LVIS's format; by default the data set's.
        topk: how many detections of a class count.
        classwise: also give each class's AP, ``<name>_precision`` (NaN where nothing is annotated).
        format_only: write the detections, score nothing.
        outfile_prefix: write the detections to ``<prefix>.bbox.json`` in COCO's result format.
        backend_args: mmengine's file backend and its settings.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: the annotation file is absent, unusable,
            or does not have the classes (when the data set is known).
    """

    default_prefix = "lvis_fixed_ap"

    def __init__(
        self,
        ann_file: str | None = None,
        topk: int = 10000,
        classwise: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(
            ann_file,
            classwise=classwise,
            format_only=format_only,
            outfile_prefix=outfile_prefix,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir,
        )
        self.topk = topk

    def choose(self, detections: Boxes) -> Boxes:
        """Return the best of each class, in the order given."""
        order = np.lexsort((-detections.score, detections.category))
        categories = detections.category[order]
        rank = np.arange(len(order)) - np.searchsorted(categories, categories)
        return detections[np.sort(order[rank < self.topk])]

    def report(self, numbers: dict[str, float]) -> dict[str, float]:
        """Choose the precisions."""
        return {key: value for key, value in numbers.items() if key.startswith("AP")}


def _gather(truth: GroundTruth, images: dict[Any, Predictions], img_ids: list[Any]) -> Boxes:
    """Join the detections of all images, in the order of ``img_ids``.

    Args:
        truth: the classes; detections of those without a category are left out.
        images: the detections by image id.
        img_ids: the I images, in rising order.
    """
    numbers = {category_id: at for at, category_id in enumerate(truth.scored_ids)}
    by_label = np.array([numbers.get(each, -1) for each in truth.category_ids], dtype=np.int64)
    parts = [images[img_id] for img_id in img_ids]
    for part in parts:
        check_labels(part, len(by_label))
    image = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    category = by_label[np.concatenate([part.labels for part in parts] or [np.zeros(0, int)])]
    xywh = np.concatenate([part.xywh for part in parts] or [np.zeros((0, 4))])
    score = np.concatenate([part.scores for part in parts] or [np.zeros(0)])
    area = xywh[:, 2] * xywh[:, 3]
    boxes = Boxes(image, category, xywh, area, score, np.zeros(len(image), dtype=bool))
    return boxes[category >= 0]


def _federate(truth: GroundTruth, img_ids: list[Any]) -> FederatedTruth:
    """Bring the annotations of some images into the form that is scored."""
    numbers = {category_id: at for at, category_id in enumerate(truth.scored_ids)}
    entries = {image["id"]: image for image in truth.file.images}
    objects = []
    pairs: dict[str, list] = dict(neg_category_ids=[], not_exhaustive_category_ids=[])
    for at, img_id in enumerate(img_ids):
        for annotation in truth.file.annotations[img_id]:
            if annotation["category_id"] in numbers:
                objects.append((at, numbers[annotation["category_id"]], annotation))
        for key, kept in pairs.items():
            kept.extend((at, numbers[each]) for each in entries[img_id][key] if each in numbers)
    boxes = Boxes(
        image=np.array([at for at, _, _ in objects], dtype=np.int64),
        category=np.array([number for _, number, _ in objects], dtype=np.int64),
        xywh=np.array([each["bbox"] for _, _, each in objects], dtype=float).reshape(-1, 4),
        area=np.array([each["area"] for _, _, each in objects], dtype=float),
        score=np.zeros(len(objects)),
        ignore=np.array([bool(each.get("ignore")) for _, _, each in objects], dtype=bool),
    )
    negative, not_exhaustive = (
        np.array(kept, dtype=np.int64).reshape(-1, 2) for kept in pairs.values()
    )
    return FederatedTruth(len(img_ids), len(numbers), boxes, negative, not_exhaustive)


def _frequency_groups(truth: GroundTruth) -> dict[str, list[int]]:
    """Return the numbers of the rare, common and frequent categories."""
    frequency = {each["id"]: each.get("frequency") for each in truth.file.categories}
    return {
        group: [at for at, number in enumerate(truth.scored_ids) if frequency[number] == group]
        for group in _FREQUENCIES
    }


def _summary(measured: PrecisionRecall, groups: dict[str, list[int]]) -> dict[str, float]:
    """Average what was measured, in the order of :data:`_KEYS`."""
    precision, recall = measured.precision, measured.recall  # (T, R, K, A), (T, K, A)
    numbers = [precision[..., 0]]
    numbers += [precision[np.isclose(IOU_THRESHOLDS, each)][..., 0] for each in (0.5, 0.75)]
    numbers += [precision[..., area] for area in range(1, len(AREA_RANGES))]
    numbers += [precision[:, :, groups[each], 0] for each in _FREQUENCIES]
    numbers += [recall[..., area] for area in range(len(AREA_RANGES))]
    return dict(zip(_KEYS, map(mean_of, numbers), strict=True))


def _as_results(
    detections: Boxes, img_ids: list[Any], scored_ids: list[Any]
) -> list[dict[str, Any]]:
    """Write detections in COCO's result format."""
    columns = (each.tolist() for each in (detections.image, detections.category))
    boxes, scores = detections.xywh.tolist(), detections.score.tolist()
    return [
        dict(image_id=img_ids[at], category_id=scored_ids[number], bbox=box, score=score)
        for at, number, box, score in zip(*columns, boxes, scores, strict=True)
    ]
