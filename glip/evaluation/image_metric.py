"""What all metrics here share: reading predictions, and counting every image once."""

from __future__ import annotations

import logging
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from glip.utils.errors import DataError


@dataclass(frozen=True)
class Predictions:
    """The detections of one image.

    Attributes:
        bboxes: (K, 4) float64, xyxy pixels of the original image.
        scores: (K,) float64.
        labels: (K,) int64, from 0.
    """

    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: Any) -> Predictions:
        return Predictions(self.bboxes[chosen], self.scores[chosen], self.labels[chosen])

    @property
    def xywh(self) -> np.ndarray:
        """The boxes (K, 4) as COCO writes them: x, y, width = x2 - x1, height = y2 - y1."""
        return np.concatenate([self.bboxes[:, :2], self.bboxes[:, 2:] - self.bboxes[:, :2]], axis=1)

    def best_first(self) -> Predictions:
        """Return them by falling score; equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]


class ImageMetric(BaseMetric):
    """A metric that knows which image each of its results is of.

    mmengine's samplers hand an image out twice where the data set does not divide by the number of
    processes, and its metrics then cut the gathered list at the size of the data set, which is
    right for one order of the images only. Here the results of all processes are gathered and each
    image id is counted once, in whatever order they come.

    Images whose data sample says ``unreadable`` (see :class:`~glip.datasets.base.BaseDetDataset`)
    count as images without detections, and detections that are not finite are dropped; both are
    reported.

    Subclasses implement :meth:`score`, and :meth:`read_sample` to keep more than detections.

    Args:
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        prefix: what the names of the numbers begin with; by default the class's.
        collect_dir: a folder all processes share, for gathering on the CPU.
    """

    def __init__(
        self,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)

    def read_sample(self, sample: dict, predictions: Predictions) -> Any:  # noqa: ARG002
        """Return what to keep of an image, picklable; by default its detections.

        Args:
            sample: the data sample as a dictionary.
            predictions: its detections, already checked.
        """
        return predictions

    def image_key(self, sample: dict) -> Any:
        """Return what tells an image from all others."""
        return sample["img_id"]

    @abstractmethod
    def score(self, images: dict[Any, Any]) -> dict[str, float]:
        """Compute the numbers from what was kept of each image, by its key."""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:  # noqa: ARG002
        """Take in a batch of data samples with ``pred_instances``.

        Raises:
            DataError: a sample lacks ``img_id`` or ``pred_instances``.
        """
        for sample in data_samples:
            if "img_id" not in sample:
                raise DataError(
                    f"{type(self).__name__} needs 'img_id' in every data sample; add it to the "
                    "meta_keys of PackDetInputs."
                )
            predictions, dropped = read_predictions(sample)
            missing = str(sample.get("img_path")) if sample.get("unreadable") else None
            kept = self.read_sample(sample, predictions)
            self.results.append((self.image_key(sample), missing, dropped, kept))

    def evaluate(self, size: int) -> dict[str, float]:  # noqa: ARG002
        """Gather the results of all processes and compute the numbers.

        Args:
            size: the number of images, as mmengine asks; not needed here, see the class.
        """
        return super().evaluate(sys.maxsize)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Count each image once and compute the numbers."""
        images: dict[Any, tuple] = {}
        for key, *rest in results:
            images.setdefault(key, tuple(rest))
        unreadable = [missing for missing, _, _ in images.values() if missing is not None]
        dropped = sum(count for _, count, _ in images.values())
        if unreadable:
            self.warn(
                f"{len(unreadable)} of {len(images)} images could not be read and count as images "
                f"without detections: {', '.join(unreadable[:5])}{', ...' * (len(unreadable) > 5)}"
            )
        if dropped:
            self.warn(f"{dropped} detections were dropped because they are not finite numbers.")
        return self.score({key: kept for key, (_, _, kept) in images.items()})

    def warn(self, message: str) -> None:
        """Log a warning in the name of the metric."""
        print_log(f"{type(self).__name__}: {message}", logger="current", level=logging.WARNING)


def read_predictions(sample: dict) -> tuple[Predictions, int]:
    """Read the detections of a data sample.

    Returns:
        The detections, none for an image that could not be read, and how many were dropped because
        a coordinate or the score is not finite.

    Raises:
        DataError: it has no ``pred_instances``.
    """
    if "pred_instances" not in sample:
        raise DataError(
            "a data sample has no 'pred_instances': expected the output of the model's predict "
            f"mode, got the keys {sorted(sample)}."
        )
    given = sample["pred_instances"]
    predictions = Predictions(
        _array(given["bboxes"], np.float64).reshape(-1, 4),
        _array(given["scores"], np.float64).reshape(-1),
        _array(given["labels"], np.int64).reshape(-1),
    )
    if sample.get("unreadable"):
        return predictions[:0], 0
    finite = np.isfinite(predictions.bboxes).all(axis=1) & np.isfinite(predictions.scores)
    if finite.all():
        return predictions, 0
    return predictions[finite], int((~finite).sum())


def _array(values: Any, dtype: type) -> np.ndarray:
    """Turn a tensor, array or list into an array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
        values = values.numpy()
    return np.asarray(values, dtype=dtype)
