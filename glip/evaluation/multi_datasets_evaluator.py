"""Evaluate several data sets at once, each with its own metric."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement

from glip.evaluation.coco_metric import CocoMetric
from glip.evaluation.dump import write_odinw_submission
from glip.evaluation.tables import dataset_table
from glip.registry import EVALUATOR, METRICS
from glip.utils.errors import AnnotationFileNotFoundError, DataError
from glip.utils.tables import log_table


@EVALUATOR.register_module()
class MultiDatasetsEvaluator(Evaluator):
    """Evaluate each data set of a :class:`~glip.datasets.wrappers.ConcatDataset` with its metric.

    The metrics are named ``<dataset prefix>/<metric prefix>/<name>``, for example
    ``Aquarium/coco/bbox_mAP``. Those in ``average_of`` are also averaged over the data sets that
    have them: ``average/coco/bbox_mAP``. A table of all data sets is logged.

    Each metric processes the images of its own data set only. Absent data sets, which ConcatDataset
    skips, are listed in the table and are not averaged.

    Args:
        metrics: one metric for each data set, as configs or objects.
        dataset_prefixes: the names of the data sets.
        average_of: the names of the metrics to average.
        extra_metrics: metrics that process the images of all data sets, for example DumpDetResults.
            A program may also append such metrics to the evaluator's ``metrics``.
        submission_file: where to write all detections in the format of the ODinW challenge; see
            :func:`~glip.evaluation.dump.write_odinw_submission`. All metrics must be CocoMetric;
            the detections on each data set are first written beside this file.

    Raises:
        DataError: there is not one metric and one unique prefix for each data set.
    """

    def __init__(
        self,
        metrics: dict | BaseMetric | Sequence[dict | BaseMetric],
        dataset_prefixes: Sequence[str],
        average_of: Sequence[str] = ("bbox_mAP",),
        extra_metrics: Sequence[dict | BaseMetric] = (),
        submission_file: str | None = None,
    ) -> None:
        metrics = list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]
        if len(metrics) != len(dataset_prefixes) or len(set(dataset_prefixes)) != len(metrics):
            raise DataError(
                "expected one metric and one unique prefix for each data set, got "
                f"{len(metrics)} metrics and the prefixes {list(dataset_prefixes)}."
            )
        self.dataset_prefixes = tuple(dataset_prefixes)
        self.average_of = tuple(average_of)
        self.submission_file = submission_file
        #: The metric of each data set that has an annotation file, by the data set's index.
        self._dataset_metrics: dict[int, BaseMetric] = {}
        #: Why each other data set has no metric.
        self._missing: dict[int, str] = {}
        for index, metric in enumerate(metrics):
            try:
                self._dataset_metrics[index] = _build(metric)
            except AnnotationFileNotFoundError as error:
                self._missing[index] = str(error)
        extra = [_build(metric) for metric in extra_metrics]
        super().__init__([*self._dataset_metrics.values(), *extra])
        if submission_file is not None:
            self._prepare_submission(Path(submission_file).parent)

    @property
    def dataset_meta(self) -> dict | None:
        """The meta information of the data sets, as ConcatDataset gives it."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        num_datasets = len(self.dataset_prefixes)
        metas = dataset_meta.get("datasets")
        if metas is None and num_datasets == 1:
            metas = [dataset_meta]
        if metas is None or len(metas) != num_datasets:
            given = "one data set" if metas is None else f"{len(metas)} data sets"
            raise DataError(
                f"MultiDatasetsEvaluator has metrics for {num_datasets} data sets, but the data "
                f"loader reads {given}: use a ConcatDataset of the same list."
            )
        self._dataset_meta = dataset_meta
        for index, meta in enumerate(metas):
            if meta is not None:
                self._metric_of(index).dataset_meta = meta
        for metric in self._extra_metrics():
            metric.dataset_meta = dataset_meta

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Pass each data sample to the metric of its data set.

        Raises:
            DataError: a data sample has no ``dataset_index``.
        """
        samples = [
            sample.to_dict() if isinstance(sample, BaseDataElement) else sample
            for sample in data_samples
        ]
        by_dataset: dict[int, list[dict]] = {}
        for sample in samples:
            if "dataset_index" not in sample and len(self.dataset_prefixes) > 1:
                raise DataError(
                    "a data sample has no 'dataset_index': MultiDatasetsEvaluator needs glip's "
                    "ConcatDataset."
                )
            by_dataset.setdefault(sample.get("dataset_index", 0), []).append(sample)
        for index, dataset_samples in by_dataset.items():
            self._metric_of(index).process(data_batch, dataset_samples)
        for metric in self._extra_metrics():
            metric.process(data_batch, samples)

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the metrics of every data set.

        Args:
            size: number of images in all data sets together.

        Returns:
            The metrics of all data sets, and the averages.
        """
        sizes, absent = self._sizes(size)
        metrics: dict[str, float] = {}
        for index, metric in self._dataset_metrics.items():
            name = self.dataset_prefixes[index]
            if name not in absent:
                values = metric.evaluate(sizes[index])
                metrics.update({f"{name}/{key}": value for key, value in values.items()})
        metrics.update(self._averages(metrics))
        for metric in self._extra_metrics():
            metrics.update(metric.evaluate(size))
        if is_main_process():
            self._log_table(metrics, absent)
            if self.submission_file is not None:
                folder = Path(self.submission_file).parent
                present = [name for name in self.dataset_prefixes if name not in absent]
                parts = {name: folder / f"{name}.bbox.json" for name in present}
                write_odinw_submission(parts, self.submission_file)
        return metrics

    def _metric_of(self, index: int) -> BaseMetric:
        """Return the metric of a data set.

        Raises:
            AnnotationFileNotFoundError: the data set has no annotation file.
        """
        if index in self._missing:
            raise AnnotationFileNotFoundError(
                f"{self.dataset_prefixes[index]} cannot be evaluated: {self._missing[index]}"
            )
        return self._dataset_metrics[index]

    def _extra_metrics(self) -> list[BaseMetric]:
        """Return the metrics that process the images of all data sets."""
        own = {id(metric) for metric in self._dataset_metrics.values()}
        return [metric for metric in self.metrics if id(metric) not in own]

    def _sizes(self, size: int) -> tuple[list[int], set[str]]:
        """Return the number of images of each data set and the names of the absent ones."""
        meta = self._dataset_meta or {}
        if "datasets" not in meta:
            return [size] * len(self.dataset_prefixes), set()
        pairs = zip(self.dataset_prefixes, meta["datasets"], strict=True)
        return list(meta["sizes"]), {name for name, each in pairs if each is None}

    def _averages(self, metrics: dict[str, float]) -> dict[str, float]:
        """Average the metrics in ``average_of`` over the data sets that have them."""
        found: dict[str, list[float]] = {}
        for name in self.dataset_prefixes:
            for key, value in metrics.items():
                rest = key.removeprefix(f"{name}/")
                if rest != key and rest.split("/")[-1] in self.average_of and value != -1:
                    found.setdefault(f"average/{rest}", []).append(value)
        return {key: sum(values) / len(values) for key, values in found.items()}

    def _log_table(self, metrics: dict[str, float], absent: set[str]) -> None:
        """Log the table of data sets, and a warning of the absent ones."""
        log_table(*dataset_table(metrics, self.dataset_prefixes, absent))
        if absent:
            total = len(self.dataset_prefixes)
            message = f"{len(absent)} of {total} data sets are absent and not averaged: "
            message += ", ".join(name for name in self.dataset_prefixes if name in absent)
            print_log(message, logger="current", level=logging.WARNING)

    def _prepare_submission(self, folder: Path) -> None:
        """Make every metric write its detections to a folder."""
        for index, metric in self._dataset_metrics.items():
            if not isinstance(metric, CocoMetric):
                raise DataError(
                    "the ODinW challenge takes detections in COCO's format: with submission_file "
                    f"all metrics must be CocoMetric, got {type(metric).__name__}."
                )
            metric.outfile_prefix = str(folder / self.dataset_prefixes[index])


def _build(metric: dict | BaseMetric) -> BaseMetric:
    return METRICS.build(metric) if isinstance(metric, dict) else metric
