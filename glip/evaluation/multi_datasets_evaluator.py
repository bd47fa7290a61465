"""One evaluation over several data sets, each with its own metric."""

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
    """Score the data sets of a :class:`~glip.datasets.wrappers.ConcatDataset` one by one.

    Every number is named ``<dataset prefix>/<metric prefix>/<name>``, for example
    ``Aquarium/coco/bbox_mAP``. The numbers in ``average_of`` are also averaged over the data sets
    that have them: ``average/coco/bbox_mAP``. At the end a table is logged.

    Each metric sees the images of its own data set only. Data sets that are absent, which
    ConcatDataset skips, are listed in the table and are not part of the average.

    Args:
        metrics: one metric for each data set, as configs or objects.
        dataset_prefixes: the data sets' names.
        average_of: the names of the numbers to average.
        extra_metrics: metrics that see the images of all data sets, for example DumpDetResults. A
            program may also append such metrics to ``metrics`` of the evaluator.
        submission_file: where to write all detections in the format of the ODinW challenge; see
            :func:`~glip.evaluation.dump.write_odinw_submission`. The metrics must be CocoMetric;
            each one's detections are written beside it first.

    Raises:
        DataError: metrics and prefixes do not go together.
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
                "expected one metric and one name of its own for each data set, got "
                f"{len(metrics)} metrics and the names {list(dataset_prefixes)}."
            )
        #: For each data set its metric, or the reason why there is none.
        self._own: list[BaseMetric | str] = [_build(metric) for metric in metrics]
        present = [metric for metric in self._own if not isinstance(metric, str)]
        extra = [METRICS.build(each) if isinstance(each, dict) else each for each in extra_metrics]
        super().__init__([*present, *extra])
        self.dataset_prefixes = tuple(dataset_prefixes)
        self.average_of = tuple(average_of)
        self.submission_file = submission_file
        if submission_file is not None:
            self._prepare_submission(Path(submission_file).parent)

    @property
    def dataset_meta(self) -> dict | None:
        """The facts about the data sets, as ConcatDataset tells them."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        metas = dataset_meta.get("datasets")
        if metas is None and len(self._own) == 1:
            metas = [dataset_meta]
        if metas is None or len(metas) != len(self._own):
            told = "one data set" if metas is None else f"{len(metas)} data sets"
            raise DataError(
                f"MultiDatasetsEvaluator has metrics for {len(self._own)} data sets, but the data "
                f"loader reads {told}; it goes with a ConcatDataset of the same list."
            )
        self._dataset_meta = dataset_meta
        for at, meta in enumerate(metas):
            if meta is not None:
                self._metric_of(at).dataset_meta = meta
        for metric in self._others():
            metric.dataset_meta = dataset_meta

    def process(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Hand each image to the metric of its data set.

        Raises:
            DataError: a data sample does not say which data set it is from.
        """
        samples = [
            sample.to_dict() if isinstance(sample, BaseDataElement) else sample
            for sample in data_samples
        ]
        by_dataset: dict[int, list[dict]] = {}
        for sample in samples:
            if "dataset_index" not in sample and len(self._own) > 1:
                raise DataError(
                    "a data sample does not say which data set it is from ('dataset_index'): "
                    "MultiDatasetsEvaluator goes with glip's ConcatDataset."
                )
            by_dataset.setdefault(sample.get("dataset_index", 0), []).append(sample)
        for at, its_samples in by_dataset.items():
            self._metric_of(at).process(data_batch, its_samples)
        for metric in self._others():
            metric.process(data_batch, samples)

    def evaluate(self, size: int) -> dict[str, float]:
        """Score every data set.

        Args:
            size: the number of images of all data sets together.

        Returns:
            The numbers of all data sets, and the averages.
        """
        sizes, absent = self._sizes(size)
        numbers: dict[str, float] = {}
        for name, metric, its_size in zip(self.dataset_prefixes, self._own, sizes, strict=True):
            if isinstance(metric, str) or name in absent:
                continue
            for key, value in metric.evaluate(its_size).items():
                numbers[f"{name}/{key}"] = value
        numbers.update(self._averages(numbers))
        for metric in self._others():
            numbers.update(metric.evaluate(size))
        if is_main_process():
            self._log_table(numbers, absent)
            if self.submission_file is not None:
                folder = Path(self.submission_file).parent
                present = [name for name in self.dataset_prefixes if name not in absent]
                parts = {name: folder / f"{name}.bbox.json" for name in present}
                write_odinw_submission(parts, self.submission_file)
        return numbers

    def _metric_of(self, at: int) -> BaseMetric:
        """Return the metric of a data set that is there."""
        metric = self._own[at]
        if isinstance(metric, str):
            raise AnnotationFileNotFoundError(
                f"{self.dataset_prefixes[at]} cannot be scored: {metric}"
            )
        return metric

    def _others(self) -> list[BaseMetric]:
        """Return the metrics that see all images."""
        own = {id(metric) for metric in self._own}
        return [metric for metric in self.metrics if id(metric) not in own]

    def _sizes(self, size: int) -> tuple[list[int], set[str]]:
        """Return the number of images of each data set and the names of those that are absent."""
        meta = self._dataset_meta or {}
        if "datasets" not in meta:
            return [size] * len(self._own), set()
        pairs = zip(self.dataset_prefixes, meta["datasets"], strict=True)
        return list(meta["sizes"]), {name for name, each in pairs if each is None}

    def _averages(self, numbers: dict[str, float]) -> dict[str, float]:
        """Average some numbers over the data sets where they were measured."""
        found: dict[str, list[float]] = {}
        for name in self.dataset_prefixes:
            for key, value in numbers.items():
                rest = key.removeprefix(f"{name}/")
                if rest != key and rest.split("/")[-1] in self.average_of and value != -1:
                    found.setdefault(f"average/{rest}", []).append(value)
        return {key: sum(values) / len(values) for key, values in found.items()}

    def _log_table(self, numbers: dict[str, float], absent: set[str]) -> None:
        """Log the data sets, one a line, and which of them are absent."""
        log_table(*dataset_table(numbers, self.dataset_prefixes, absent))
        if absent:
            message = f"{len(absent)} of {len(self._own)} data sets are absent and not averaged: "
            message += ", ".join(name for name in self.dataset_prefixes if name in absent)
            print_log(message, logger="current", level=logging.WARNING)

    def _prepare_submission(self, folder: Path) -> None:
        """Make every metric write its detections there."""
        for name, metric in zip(self.dataset_prefixes, self._own, strict=True):
            if isinstance(metric, str):
                continue
            if not isinstance(metric, CocoMetric):
                raise DataError(
                    "the ODinW challenge takes detections in COCO's format, so with "
                    f"submission_file all metrics must be CocoMetric, not {type(metric).__name__}."
                )
            metric.outfile_prefix = str(folder / name)


def _build(metric: dict | BaseMetric) -> BaseMetric | str:
    """Build a metric, or say why there is nothing to score against."""
    if isinstance(metric, BaseMetric):
        return metric
    try:
        return METRICS.build(metric)
    except AnnotationFileNotFoundError as error:
        return str(error)
