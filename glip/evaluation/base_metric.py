"""The base class of the metrics."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from glip.evaluation.predictions import Predictions, read_predictions
from glip.utils.errors import DataError


@dataclass(frozen=True)
class ImageResult:
    """What a metric keeps of one image.

    Attributes:
        key: identifies the image.
        value: the return value of :meth:`BaseDetMetric.extract`.
        unreadable: the path of an image that could not be read, otherwise None.
        num_dropped: number of non-finite detections, which were dropped.
    """

    key: Any
    value: Any
    unreadable: str | None
    num_dropped: int


@dataclass(kw_only=True, eq=False, repr=False)
class BaseDetMetric(BaseMetric):
    """A metric that counts every image once.

    mmengine's samplers repeat images where the number of processes does not divide the size of the
    data set, and its metrics truncate the gathered results to the size of the data set, which is
    right for one order of the images only. This class gathers the results of all processes, in any
    order, and keeps one per image.

    An image whose data sample says ``unreadable`` (see :class:`~glip.datasets.base.BaseDetDataset`)
    counts as an image without detections. Non-finite detections are dropped. Both are logged.

    A subclass implements ``compute_metrics(results)``, which begins with :meth:`unique_images`, and
    may override :meth:`extract`. It is a dataclass: its fields are its constructor's arguments.

    Args:
        collect_device: ``'cpu'`` or ``'gpu'``, where the results of the processes are gathered.
        prefix: prefix of the metrics' names; by default the class's ``default_prefix``.
        collect_dir: a folder that all processes share, for gathering on the CPU.
    """

    collect_device: str = "cpu"
    prefix: str | None = None
    collect_dir: str | None = None

    def __post_init__(self) -> None:
        super().__init__(self.collect_device, self.prefix, self.collect_dir)

    def extract(self, sample: dict, predictions: Predictions) -> Any:  # noqa: ARG002
        """Return what to keep of an image, by default its detections.

        Args:
            sample: the data sample as a dictionary.
            predictions: its finite detections.
        """
        return predictions

    def image_key(self, sample: dict) -> Any:
        """Return a key that identifies the image."""
        return sample["img_id"]

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:  # noqa: ARG002
        """Process a batch of data samples with ``img_id`` and ``pred_instances``.

        Raises:
            DataError: a data sample lacks one of them.
        """
        for sample in data_samples:
            if "img_id" not in sample:
                raise DataError(
                    f"{type(self).__name__} needs 'img_id' in every data sample; add it to the "
                    "meta_keys of PackDetInputs."
                )
            predictions, num_dropped = read_predictions(sample)
            self.results.append(
                ImageResult(
                    key=self.image_key(sample),
                    value=self.extract(sample, predictions),
                    unreadable=str(sample.get("img_path")) if sample.get("unreadable") else None,
                    num_dropped=num_dropped,
                )
            )

    def evaluate(self, size: int) -> dict[str, float]:  # noqa: ARG002
        """Gather the results of all processes and compute the metrics.

        Args:
            size: the size of the data set; not used, see the class.
        """
        return super().evaluate(sys.maxsize)

    def unique_images(self, results: Iterable[ImageResult]) -> dict[Any, Any]:
        """Return what was kept of each image, by its key; warn of unreadable images."""
        images: dict[Any, ImageResult] = {}
        for result in results:
            images.setdefault(result.key, result)
        unreadable = [each.unreadable for each in images.values() if each.unreadable is not None]
        num_dropped = sum(result.num_dropped for result in images.values())
        if unreadable:
            self.warn(
                f"{len(unreadable)} of {len(images)} images could not be read and count as images "
                f"without detections: {', '.join(unreadable[:5])}{', ...' * (len(unreadable) > 5)}"
            )
        if num_dropped:
            self.warn(f"{num_dropped} detections were dropped because they are not finite.")
        return {key: result.value for key, result in images.items()}

    def warn(self, message: str) -> None:
        """Log a warning that begins with the metric's name."""
        print_log(f"{type(self).__name__}: {message}", logger="current", level=logging.WARNING)


def check_metric(metric: str | Sequence[str]) -> None:
    """Check the argument ``metric`` of MMDetection's metrics.

    Raises:
        DataError: it is not ``'bbox'``.
    """
    if ([metric] if isinstance(metric, str) else list(metric)) != ["bbox"]:
        raise DataError(f"GLIP detects boxes: expected metric='bbox', got {metric!r}.")
