"""What the metrics share that score against an annotation file with classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from glip.datasets.annotation_file import check_exists
from glip.evaluation.ground_truth import GroundTruth, load_ground_truth
from glip.evaluation.image_metric import ImageMetric, Predictions
from glip.utils.errors import DataError


class AnnotatedMetric(ImageMetric):
    """A metric over the classes of an annotation file.

    The file is read, and its categories are compared with the data set's classes, as soon as the
    metric learns of the data set, which is before anything runs.

    Args:
        ann_file: the annotation file; by default the data set's.
        backend_args: mmengine's file backend and its settings.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with; by default the class's.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        glip.datasets.annotation_file.AnnotationFileNotFoundError: there is no such file.
    """

    #: Whether categories whose names differ may be found by their place in the list.
    SAME_ORDER = False

    def __init__(
        self,
        ann_file: str | None = None,
        *,
        backend_args: dict | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if ann_file is not None:
            check_exists(ann_file, backend_args)
        self.ann_file = ann_file
        self.backend_args = backend_args
        self._truth: GroundTruth | None = None
        self._source: tuple[Any, Any] | None = None

    @property
    def dataset_meta(self) -> dict | None:
        """The facts about the data set."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict | None) -> None:
        self._dataset_meta = dataset_meta
        if dataset_meta is None:
            return
        source = (dataset_meta.get("classes"), dataset_meta.get("ann_file"))
        if source != self._source:  # the loops tell it again before every validation
            self._source = source
            self._truth = self.load_truth(dataset_meta)

    @property
    def truth(self) -> GroundTruth:
        """What to score against.

        Raises:
            DataError: the metric has not been told of a data set.
        """
        if self._truth is None:
            raise DataError(
                f"{type(self).__name__} does not know the data set's classes: set its "
                "dataset_meta = dict(classes=(...)). (The runner does, from the data loader.)"
            )
        return self._truth

    def load_truth(self, meta: dict) -> GroundTruth:
        """Read the annotation file and compare it with the data set's classes."""
        if find_spec("pycocotools") is None:
            raise ImportError(f"{type(self).__name__} needs pycocotools: pip install pycocotools")
        path = self.ann_file or meta.get("ann_file")
        if "classes" not in meta or path is None:
            raise DataError(
                f"{type(self).__name__} needs the classes and the annotation file of one data "
                f"set, but got the meta information {sorted(meta)}. For several data sets with "
                "different classes use MultiDatasetsEvaluator."
            )
        other = meta.get("ann_file")
        if other is not None and other != path:
            self.warn(f"scores against '{path}', but the data set reads '{other}'.")
        return load_ground_truth(
            path, meta["classes"], self.backend_args, same_order=self.SAME_ORDER
        )

    @abstractmethod
    def measure(self, truth: GroundTruth, images: dict[Any, Predictions]) -> dict[str, float]:
        """Compute the numbers, by their names in the tables, and log nothing.

        Args:
            truth: the annotations, of more images perhaps.
            images: the detections in the images to score, by image id.
        """

    def score_each(self, images: dict[Any, Predictions]) -> Iterator[tuple[Any, dict[str, float]]]:
        """Score every image as if there were no other.

        In each, the classes count that are annotated there: detections of others change nothing.

        Args:
            images: the detections by image id.

        Yields:
            Image id and numbers, -1 for what cannot be measured, in the order of the ids.
        """
        entries = {image["id"]: image for image in self.truth.file.images}
        for img_id in self.scored_images(images):
            truth = self.truth.of_image(entries[img_id])
            yield img_id, self.measure(truth, {img_id: images[img_id]})

    def scored_images(self, images: Iterable[Any]) -> list[Any]:
        """Return the image ids to score, in rising order: those that were run.

        Raises:
            DataError: one of them is not in the annotation file.
        """
        known = {image["id"] for image in self.truth.file.images}
        run = list(images)
        strangers = [img_id for img_id in run if img_id not in known]
        if strangers:
            raise DataError(
                f"{len(strangers)} images that were run are not in '{self.truth.file.path}', for "
                f"example {strangers[:3]}: the data set and the metric read different files."
            )
        if len(run) < len(known):
            self.warn(
                f"scores the {len(run)} images that were run, of {len(known)} in "
                f"'{self.truth.file.path}'."
            )
        return np.unique(np.array(run, dtype=None if run else int)).tolist()
