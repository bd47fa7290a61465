"""The base class of the AP metrics: COCO's and LVIS's."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from glip.datasets.annotation_file import check_exists
from glip.datasets.annotation_values import id_order
from glip.evaluation.base_metric import BaseDetMetric
from glip.evaluation.ground_truth import GroundTruth, load_ground_truth
from glip.evaluation.predictions import Predictions
from glip.utils.atomic_write import write_new_file
from glip.utils.errors import DataError


@dataclass(frozen=True)
class ClassCurves:
    """Precision and recall of K classes at T IoU thresholds; -1 where nothing is annotated.

    Attributes:
        names: K class names.
        iou_thrs: (T,) IoU thresholds, ascending.
        recalls: (R,) recalls of the curves.
        precision: (T, R, K) interpolated precision; its mean is the AP.
        recall: (T, K) recall over all detections.
        num_boxes: (K,) annotated boxes of the images that were evaluated, but for crowds.
    """

    names: list[str]
    iou_thrs: np.ndarray
    recalls: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    num_boxes: np.ndarray


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAPMetric(BaseDetMetric):
    """A metric that compares detections with a COCO-style annotation file, class by class.

    The annotation file is read, and its categories are matched with the data set's classes, when
    ``dataset_meta`` is set, before the model runs.

    Args:
        ann_file: the annotation file; by default the data set's.
        classwise: also compute each class's AP, ``<name>_precision`` (NaN for a class without
            annotations), and log a table of them.
        format_only: write the detections and compute no metrics.
        outfile_prefix: write the detections to ``<prefix>.bbox.json`` in COCO's result format.
        backend_args: arguments of mmengine's file backend.

    Raises:
        DataError: ``format_only`` without ``outfile_prefix``.
        glip.utils.errors.AnnotationFileNotFoundError: the annotation file does not exist.
    """

    #: Whether categories may be matched with the classes by position if their names differ.
    same_order: ClassVar[bool] = False

    ann_file: str | None = field(default=None, kw_only=False)
    classwise: bool = False
    format_only: bool = False
    outfile_prefix: str | None = None
    backend_args: dict | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ann_file is not None:
            check_exists(self.ann_file, self.backend_args)
        if self.format_only and self.outfile_prefix is None:
            raise DataError("format_only=True writes the detections: set outfile_prefix.")
        self._ground_truth: GroundTruth | None = None
        self._source: tuple[Any, Any] | None = None

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's meta information."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        if dataset_meta is None:
            return
        source = (dataset_meta.get("classes"), dataset_meta.get("ann_file"))
        if source != self._source:  # mmengine's loops set it before every validation
            self._source = source
            self._ground_truth = self.load_annotations(dataset_meta)

    @property
    def ground_truth(self) -> GroundTruth:
        """The annotations.

        Raises:
            DataError: ``dataset_meta`` is not set.
        """
        if self._ground_truth is None:
            raise DataError(
                f"{type(self).__name__} does not know the data set's classes: set its "
                "dataset_meta = dict(classes=(...)). (The runner sets it from the data loader.)"
            )
        return self._ground_truth

    def load_annotations(self, meta: dict) -> GroundTruth:
        """Read the annotation file and match its categories with the data set's classes."""
        if find_spec("pycocotools") is None:
            raise ImportError(f"{type(self).__name__} needs pycocotools: pip install pycocotools")
        path = self.ann_file or meta.get("ann_file")
        if "classes" not in meta or path is None:
            raise DataError(
                f"{type(self).__name__} needs the classes and the annotation file of one data "
                f"set, got the meta information {sorted(meta)}. For several data sets with "
                "different classes use MultiDatasetsEvaluator."
            )
        other = meta.get("ann_file")
        if other is not None and other != path:
            self.warn(f"evaluates on '{path}', but the data set reads '{other}'.")
        return load_ground_truth(
            path, meta["classes"], self.backend_args, same_order=self.same_order
        )

    @abstractmethod
    def compute_ap(
        self, ground_truth: GroundTruth, images: Mapping[Any, Predictions]
    ) -> dict[str, float]:
        """Compute the metrics of some images, by their short names, without logging.

        Args:
            ground_truth: the annotations; they may be of more images.
            images: the detections by image id.
        """

    @abstractmethod
    def compute_curves(self, images: Mapping[Any, Predictions]) -> ClassCurves:
        """Compute precision and recall of each class over objects of all sizes.

        Args:
            images: the detections by image id.
        """

    def make_curves(
        self,
        img_ids: Iterable[Any],
        iou_thrs: np.ndarray,
        recalls: np.ndarray,
        precision: np.ndarray,
        recall: np.ndarray,
    ) -> ClassCurves:
        """Return curves with the names and the numbers of boxes of the evaluated classes."""
        ground_truth = self.ground_truth
        names = ground_truth.category_names()
        counts = dict.fromkeys(ground_truth.evaluated_ids, 0)
        for img_id in img_ids:
            for each in ground_truth.file.annotations[img_id]:
                if each["category_id"] in counts and not each.get("iscrowd"):
                    counts[each["category_id"]] += 1
        return ClassCurves(
            names=[names[each] for each in counts],
            iou_thrs=iou_thrs,
            recalls=recalls,
            precision=precision,
            recall=recall,
            num_boxes=np.array(list(counts.values()), dtype=np.int64),
        )

    def compute_per_image(
        self, images: Mapping[Any, Predictions]
    ) -> Iterator[tuple[Any, dict[str, float]]]:
        """Compute the metrics of each image on its own.

        In each image only the classes that are annotated there count.

        Args:
            images: the detections by image id.

        Yields:
            Image id and metrics, -1 for a metric with nothing to measure, in ascending order of id.
        """
        entries = {image["id"]: image for image in self.ground_truth.file.images}
        for img_id in self.evaluated_image_ids(images):
            ground_truth = self.ground_truth.select_image(entries[img_id])
            yield img_id, self.compute_ap(ground_truth, {img_id: images[img_id]})

    def evaluated_image_ids(self, images: Iterable[Any]) -> list[Any]:
        """Return the ids of the images to evaluate on, in ascending order.

        Args:
            images: the ids of the images that the model ran on.

        Raises:
            DataError: an image is not in the annotation file.
        """
        known = {image["id"] for image in self.ground_truth.file.images}
        img_ids = list(images)
        unknown = [img_id for img_id in img_ids if img_id not in known]
        path = self.ground_truth.file.path
        if unknown:
            raise DataError(
                f"{len(unknown)} images with predictions are not in '{path}', for example "
                f"{unknown[:3]}: the data set and the metric read different files."
            )
        if len(img_ids) < len(known):
            self.warn(
                f"evaluates on the {len(img_ids)} images with predictions, of {len(known)} in "
                f"'{path}'."
            )
        return sorted(set(img_ids), key=id_order)


def write_results(results: list[dict[str, Any]], outfile_prefix: str) -> None:
    """Write detections in COCO's result format to ``<outfile_prefix>.bbox.json``."""
    path = f"{outfile_prefix}.bbox.json"
    if "://" in path:
        fileio.dump(results, path)
    else:
        write_new_file(path, json.dumps(results))
    print_log(f"wrote {len(results)} detections to {path}", logger="current")


def mean_of(values: np.ndarray) -> float:
    """Return the mean of the entries other than -1, or -1 if there is none, as pycocotools does."""
    measured = values[values > -1]
    return float(np.mean(measured)) if measured.size else -1.0
