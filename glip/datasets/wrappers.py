"""The concatenation of data sets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.dataset import ConcatDataset as MMEngineConcatDataset
from mmengine.logging import print_log

from glip.registry import DATASETS
from glip.structures import DetDataSample
from glip.utils.errors import AnnotationFileNotFoundError, DataError


@DATASETS.register_module()
class ConcatDataset(MMEngineConcatDataset):
    """Concatenate data sets; unlike in mmengine, they may have different classes.

    Each data sample has ``dataset_index``, the position of its data set in the list, which
    :class:`~glip.evaluation.MultiDatasetsEvaluator` uses.

    Its ``metainfo`` has ``datasets``, the metainfo of each data set (None for a missing one),
    ``sizes``, their numbers of images, ``cumulative_sizes``, and the items that are the same in all
    of them, for example ``classes``.

    Args:
        datasets: The data sets, as configs or objects.
        lazy_init: Read the annotations on first use.
        ignore_keys: Keys of the metainfo to exclude from the items that all data sets share.
        skip_missing: Skip a data set whose annotation file does not exist, with a warning. By
            default, configs with ``test_mode=True`` are skipped: an evaluation over many data sets
            runs on those that exist, and training never loses one.

    Attributes:
        datasets: The data sets that exist.
        missing: For each data set of the list, why it is missing, or None.

    Raises:
        DataError: The list is empty.
        AnnotationFileError: A data set cannot be used.
        AnnotationFileNotFoundError: All data sets are missing.
    """

    def __init__(
        self,
        datasets: Sequence[dict | BaseDataset],
        lazy_init: bool = False,
        ignore_keys: str | Sequence[str] = (),
        skip_missing: bool | None = None,
    ) -> None:
        if not datasets:
            raise DataError("ConcatDataset expects one data set or more, got an empty list.")
        self.skip_missing = skip_missing
        ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else ignore_keys
        self.ignore_keys = tuple(ignore_keys or ())
        self.missing: list[str | None] = []
        self.datasets: list[BaseDataset] = []
        for dataset in datasets:
            self._add(dataset)
        if not self.datasets:
            raise AnnotationFileNotFoundError(
                f"none of the {len(datasets)} data sets exists. The first: {self.missing[0]}"
            )
        self._positions = [index for index, reason in enumerate(self.missing) if reason is None]
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _add(self, dataset: dict | BaseDataset) -> None:
        """Append a data set, or the reason why it is missing."""
        if isinstance(dataset, BaseDataset):
            self.datasets.append(dataset)
            self.missing.append(None)
            return
        if not isinstance(dataset, dict):
            raise TypeError(
                "ConcatDataset takes configs and data sets, but got "
                f"{type(dataset).__name__}: {dataset!r}"
            )
        skip = dataset.get("test_mode", False) if self.skip_missing is None else self.skip_missing
        try:
            self.datasets.append(DATASETS.build(dataset))
            self.missing.append(None)
        except AnnotationFileNotFoundError as error:
            if not skip:
                raise
            self.missing.append(str(error))
            message = f"data set {len(self.missing)} is missing and is skipped: {error}"
            print_log(message, logger="current", level=logging.WARNING)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The metadata of all data sets, as the class describes it."""
        existing = [dataset.metainfo for dataset in self.datasets]
        shared = {
            key: value
            for key, value in existing[0].items()
            if key not in self.ignore_keys
            and all(key in other and _equal(other[key], value) for other in existing[1:])
        }
        datasets: list[dict | None] = [None] * len(self.missing)
        sizes = [0] * len(self.missing)
        for index, dataset, meta in zip(self._positions, self.datasets, existing, strict=True):
            datasets[index], sizes[index] = meta, len(dataset)
        cumulative_sizes = list(itertools.accumulate(sizes))
        return {
            **shared,
            "datasets": datasets,
            "sizes": sizes,
            "cumulative_sizes": cumulative_sizes,
        }

    def get_dataset_source(self, idx: int) -> int:
        """Return the position, in the list of the config, of an image's data set."""
        return self._positions[self._get_ori_dataset_idx(idx)[0]]

    def get_image_size(self, idx: int) -> tuple[int, int]:
        """Return width and height of an image in pixels, 0 if they are unknown."""
        dataset_idx, sample_idx = self._get_ori_dataset_idx(idx)
        return get_image_size(self.datasets[dataset_idx], sample_idx)

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the labels of an image's objects, for mmengine's ``ClassBalancedDataset``.

        Raises:
            DataError: the data sets have different classes, whose labels have other meanings.
        """
        if "classes" not in self.metainfo:
            raise DataError(
                "the concatenated data sets have different classes, which cannot be balanced "
                "together: put ClassBalancedDataset around each of them"
            )
        dataset_idx, sample_idx = self._get_ori_dataset_idx(idx)
        return self.datasets[dataset_idx].get_cat_ids(sample_idx)

    def __getitem__(self, idx: int) -> Any:
        data = super().__getitem__(idx)
        sample = data.get("data_samples") if isinstance(data, dict) else None
        if isinstance(sample, DetDataSample):
            sample.set_metainfo(dict(dataset_index=self.get_dataset_source(idx)))
        return data


def get_image_size(dataset: Any, idx: int) -> tuple[int, int]:
    """Return width and height of an image in pixels, 0 if the data set does not know them.

    Data sets of this library return them without preparing the prompt; of others, the data info is
    read.
    """
    if hasattr(dataset, "get_image_size"):
        return dataset.get_image_size(idx)
    info = dataset.get_data_info(idx)
    return info.get("width", 0), info.get("height", 0)


def _equal(first: Any, second: Any) -> bool:
    """Compare two items of metainfo, which may be arrays."""
    try:
        return bool(first == second)
    except ValueError:
        return bool((first == second).all())


def leaf_datasets(dataset: BaseDataset) -> Iterator[BaseDataset]:
    """Yield the data sets inside a data set that concatenates, repeats or otherwise wraps them."""
    below = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if below == [None]:
        yield dataset
        return
    for each in below:
        yield from leaf_datasets(each)
