"""Several data sets as one, each sample knowing which it is from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.dataset import ConcatDataset as MMEngineConcatDataset
from mmengine.logging import print_log

from glip.registry import DATASETS
from glip.structures import DetDataSample
from glip.utils.errors import AnnotationFileNotFoundError, DataError


@DATASETS.register_module()
class ConcatDataset(MMEngineConcatDataset):
    """Data sets one after another; unlike mmengine's, they may have different classes.

    The data sample of every image says in ``dataset_index`` which data set of the list it is from,
    which :class:`~glip.evaluation.MultiDatasetsEvaluator` goes by.

    Its ``metainfo`` has ``datasets``, the meta information of each (None for one that is absent),
    ``sizes``, their numbers of images, ``cumulative_sizes``, and whatever all of them agree on, for
    example ``classes``.

    Args:
        datasets: the data sets, as configs or objects.
        lazy_init: read the annotations on first use.
        ignore_keys: keys of the meta information to leave out of what all agree on.
        skip_missing: go on without a data set whose annotation file does not exist, with a warning.
            By default this goes for configs with ``test_mode=True``, so that an evaluation over
            many data sets runs on those that are there, and training never loses one.

    Raises:
        glip.datasets.annotation_file.AnnotationFileError: a data set cannot be used, or all are
            absent.
    """

    def __init__(
        self,
        datasets: Sequence[dict | BaseDataset],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] = (),
        skip_missing: bool | None = None,
    ) -> None:
        if not datasets:
            raise DataError("ConcatDataset joins data sets, but the list of them is empty.")
        self.skip_missing = skip_missing
        ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else ignore_keys
        self.ignore_keys = tuple(ignore_keys or ())
        #: For each data set of the config the reason why it is absent, or None.
        self.absent: list[str | None] = []
        self.datasets: list[BaseDataset] = []
        for dataset in datasets:
            self._add(dataset)
        if not self.datasets:
            raise AnnotationFileNotFoundError(
                f"none of the {len(datasets)} data sets is there. The first: {self.absent[0]}"
            )
        self._positions = [at for at, reason in enumerate(self.absent) if reason is None]
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _add(self, dataset: dict | BaseDataset) -> None:
        """Build a data set, or note that it is absent."""
        if isinstance(dataset, BaseDataset):
            self.datasets.append(dataset)
            self.absent.append(None)
            return
        if not isinstance(dataset, dict):
            raise TypeError(
                "ConcatDataset takes configs and data sets, but got "
                f"{type(dataset).__name__}: {dataset!r}"
            )
        skips = dataset.get("test_mode", False) if self.skip_missing is None else self.skip_missing
        try:
            self.datasets.append(DATASETS.build(dataset))
            self.absent.append(None)
        except AnnotationFileNotFoundError as error:
            if not skips:
                raise
            self.absent.append(str(error))
            message = f"data set {len(self.absent)} is absent and is skipped: {error}"
            print_log(message, logger="current", level=logging.WARNING)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The facts about the data, as the class describes them."""
        every = [dataset.metainfo for dataset in self.datasets]
        shared = {
            key: value
            for key, value in every[0].items()
            if key not in self.ignore_keys
            and all(key in meta and _equal(meta[key], value) for meta in every[1:])
        }
        known: list[dict | None] = [None] * len(self.absent)
        sizes = [0] * len(self.absent)
        for at, dataset, meta in zip(self._positions, self.datasets, every, strict=True):
            known[at], sizes[at] = meta, len(dataset)
        cumulative = [sum(sizes[: at + 1]) for at in range(len(sizes))]
        return {**shared, "datasets": known, "sizes": sizes, "cumulative_sizes": cumulative}

    def get_dataset_source(self, idx: int) -> int:
        """Return the position, in the config's list, of the data set an image is from."""
        return self._positions[self._get_ori_dataset_idx(idx)[0]]

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Width and height of an image in pixels, 0 if its data set does not know them."""
        number, idx = self._get_ori_dataset_idx(idx)
        return image_size(self.datasets[number], idx)

    def __getitem__(self, idx: int) -> Any:
        data = super().__getitem__(idx)
        sample = data.get("data_samples") if isinstance(data, dict) else None
        if isinstance(sample, DetDataSample):
            sample.set_metainfo(dict(dataset_index=self.get_dataset_source(idx)))
        return data


def image_size(dataset: Any, idx: int) -> tuple[int, int]:
    """Width and height of an image in pixels, 0 if the data set does not know them.

    The data sets here tell it without preparing the rest; others are asked for all they know.
    """
    if hasattr(dataset, "get_image_size"):
        return dataset.get_image_size(idx)
    info = dataset.get_data_info(idx)
    return info.get("width", 0), info.get("height", 0)


def _equal(first: Any, second: Any) -> bool:
    """Compare two facts, which may be arrays."""
    try:
        return bool(first == second)
    except ValueError:
        return bool((first == second).all())
