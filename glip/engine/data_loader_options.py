"""Options of the data loaders of a config: checked before anything is built, and completed."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.dataset import BaseDataset, ClassBalancedDataset, InfiniteSampler
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Dataset

from glip.datasets import BaseDetDataset
from glip.engine.component_options import check_built
from glip.registry import (
    DATA_SAMPLERS,
    DATASETS,
    FUNCTIONS,
    TRANSFORMS,
    check_component,
    find_type,
)
from glip.utils.errors import ConfigError
from glip.utils.options import (
    check_bool,
    check_choice,
    check_int,
    check_keys,
    check_mapping,
    check_number,
)

#: What mmengine's ``Runner.build_dataloader`` reads and torch's ``DataLoader`` does not take.
_OF_THE_RUNNER = ("num_batch_per_epoch", "disable_subprocess_warning")
#: What no config can hold, and what neither mmengine nor this library passes on.
_NOT_IN_CONFIGS = ("generator", "pin_memory_device", "in_order")
#: Options that torch refuses without worker processes.
_OF_WORKERS = ("persistent_workers", "prefetch_factor", "multiprocessing_context", "timeout")


#: More processes than any machine has use for; millions would make it unusable.
_MAX_WORKERS = 1024
#: More batches than a worker process has any use for; it loads them before the first step.
_MAX_PREFETCHED = 1024


def check_data_loader(name: str, loader: Any) -> None:
    """Check the config of a data loader and of its data set.

    Args:
        name: its place in the config, for example ``train_dataloader``.
        loader: the config, or a data loader.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    if isinstance(loader, DataLoader):
        return
    check_mapping(name, loader)
    known = [*inspect.signature(DataLoader).parameters, *_OF_THE_RUNNER]
    check_keys(name, loader, [each for each in known if each not in _NOT_IN_CONFIGS])
    for key in ("dataset", "sampler"):
        if key not in loader:
            raise ConfigError(f"{name} has no {key}: add {key}=dict(type=...)")
    if "batch_size" not in loader and not loader.get("batch_sampler"):
        raise ConfigError(f"{name} has no batch_size: add the number of images of a batch")
    _check_values(name, loader)
    for key, given in (
        ("collate_fn", ("data_batch",)),
        ("worker_init_fn", ("worker_id", "num_workers", "rank", "seed")),
    ):
        function = loader.get(key)
        if function is not None and not callable(function):
            if function == dict(type="default_collate"):
                raise ConfigError(
                    f"{name}.{key} is default_collate, which cannot batch images of different "
                    "sizes: expected dict(type='pseudo_collate'), or no collate_fn"
                )
            check_component(FUNCTIONS, function, f"{name}.{key}", given=given)
    check_data_set(f"{name}.dataset", loader["dataset"])
    for key, added in (
        ("sampler", ("dataset", "seed")),
        ("batch_sampler", ("sampler", "batch_size", "drop_last")),
    ):
        if isinstance(loader.get(key), Mapping):
            check_component(DATA_SAMPLERS, loader[key], f"{name}.{key}", given=added)
        elif isinstance(loader.get(key), (str, int, float, list, tuple)):
            raise ConfigError(f"expected {name}.{key} as dict(type=...), got {loader[key]!r}")
    if loader["sampler"] is None:
        raise ConfigError(
            f"expected {name}.sampler as dict(type='DefaultSampler', shuffle=...), got None"
        )
    if not name.startswith("train_"):
        _check_complete(name, loader)


def _check_complete(name: str, loader: Mapping) -> None:
    """Check that an evaluation gets each image, once.

    Raises:
        ConfigError: an option leaves out images, or repeats them for ever.
    """
    if loader.get("drop_last"):
        raise ConfigError(
            f"{name}.drop_last leaves out the images of the last batch, and the metrics would be "
            "those of the others: expected False"
        )
    if is_infinite(loader["sampler"], f"{name}.sampler"):
        raise ConfigError(
            f"{name}.sampler never ends: expected dict(type='DefaultSampler', shuffle=False)"
        )


def is_infinite(sampler: Any, name: str) -> bool:
    """Return whether a sampler is mmengine's ``InfiniteSampler``, whose epoch never ends.

    Args:
        sampler: the sampler, or its config.
        name: its place in the config.
    """
    kind = find_type(DATA_SAMPLERS, sampler["type"], name) if isinstance(sampler, Mapping) else None
    is_subclass = inspect.isclass(kind) and issubclass(kind, InfiniteSampler)
    return is_subclass or isinstance(sampler, InfiniteSampler)


def _check_values(name: str, loader: Mapping) -> None:
    if "batch_size" in loader:
        check_int(f"{name}.batch_size", loader["batch_size"], low=1)
    check_int(f"{name}.num_workers", loader.get("num_workers", 0), low=0)
    check_int(f"{name}.num_workers", loader.get("num_workers", 0), high=_MAX_WORKERS)
    prefetched = loader.get("prefetch_factor")
    check_int(f"{name}.prefetch_factor", prefetched, low=1, high=_MAX_PREFETCHED, none=True)
    start = loader.get("multiprocessing_context")
    if start is None or isinstance(start, (str, int, float)):
        methods = ("fork", "spawn", "forkserver", None)
        check_choice(f"{name}.multiprocessing_context", start, methods)
    check_int(f"{name}.num_batch_per_epoch", loader.get("num_batch_per_epoch"), low=1, none=True)
    check_number(f"{name}.timeout", loader.get("timeout", 0), low=0)
    for key in ("persistent_workers", "drop_last", "pin_memory", "shuffle"):
        check_bool(f"{name}.{key}", loader.get(key), none=True)
    if loader.get("shuffle"):
        raise ConfigError(
            f"{name} has a sampler, so that it cannot have shuffle=True: expected "
            "sampler=dict(type='DefaultSampler', shuffle=True)"
        )


def check_data_set(name: str, dataset: Any, *, needs_pipeline: bool = True) -> None:
    """Check the config of a data set, of those inside it, and of their pipelines.

    Args:
        name: its place in the config.
        dataset: the config, or a data set.
        needs_pipeline: whether a data set of this library must have a pipeline, because none
            around it has one.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
    """
    if isinstance(dataset, (BaseDataset, Dataset)):
        return
    kind = check_component(DATASETS, dataset, name)
    inner = dataset.get("dataset")
    if inspect.isclass(kind) and issubclass(kind, ClassBalancedDataset) and inner is not None:
        inner = find_type(DATASETS, inner.get("type")) if isinstance(inner, Mapping) else inner
        if not hasattr(inner, "get_cat_ids"):
            raise ConfigError(
                f"{name} balances the classes of {name}.dataset, which does not list the labels of "
                "its images: put ClassBalancedDataset directly around the data set of annotations"
            )
    if "dataset" in dataset or "datasets" in dataset:
        known = str(getattr(kind, "__module__", "")).startswith(("glip.", "mmengine."))
        needs_pipeline = needs_pipeline and known
    elif needs_pipeline and _is_own(kind) and not dataset.get("pipeline"):
        raise ConfigError(
            f"{name} has no pipeline: add pipeline=[dict(type='LoadImageFromFile'), ..., "
            "dict(type='PackDetInputs')]"
        )
    if "dataset" in dataset:
        check_data_set(f"{name}.dataset", dataset["dataset"], needs_pipeline=needs_pipeline)
    for index, each in enumerate(_sequence(f"{name}.datasets", dataset.get("datasets"))):
        check_data_set(f"{name}.datasets.{index}", each, needs_pipeline=needs_pipeline)
    for index, step in enumerate(_sequence(f"{name}.pipeline", dataset.get("pipeline"))):
        if not callable(step):
            check_built(TRANSFORMS, step, f"{name}.pipeline.{index}")


def _is_own(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseDetDataset)


def _sequence(name: str, value: Any) -> Sequence:
    if value is None or (isinstance(value, Sequence) and not isinstance(value, str)):
        return value or ()
    raise ConfigError(f"expected {name} as a list of dict(type=...), got {type(value).__name__}")


def complete_data_loader(loader: Mapping) -> dict[str, Any]:
    """Return the config of a data loader with options that torch accepts together.

    Without worker processes there is nothing to keep or to wait for, so these options are dropped.
    ``drop_last`` goes to the batch sampler, which makes the batches.

    Args:
        loader: the config.
    """
    completed = {key: value for key, value in loader.items() if key != "collate_fn" or value}
    if not completed.get("num_workers"):
        dropped = [key for key in _OF_WORKERS if completed.pop(key, None)]
        if dropped:
            print_log(
                f"Data loader: num_workers=0 starts no worker process, so that "
                f"{', '.join(dropped)} is not used",
                logger="current",
                level=logging.WARNING,
            )
    if isinstance(completed.get("batch_sampler"), Mapping):
        drop_last = completed.pop("drop_last", None)
        if drop_last is not None:
            completed["batch_sampler"] = {**completed["batch_sampler"], "drop_last": drop_last}
        completed.pop("shuffle", None)
    return completed
