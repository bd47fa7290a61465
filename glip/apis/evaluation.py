"""Check the data of an evaluation, build its evaluator and format its metrics."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dataset.base_dataset import is_abs
from mmengine.evaluator import Evaluator
from mmengine.fileio import join_path
from mmengine.logging import print_log
from mmengine.registry import DefaultScope

from glip.datasets.annotation_file import check_exists
from glip.engine.data_loader_options import check_data_set
from glip.engine.options import check_evaluator
from glip.evaluation.tables import dataset_table
from glip.registry import DATASETS, EVALUATOR
from glip.utils.config_entries import config_name
from glip.utils.errors import AnnotationFileNotFoundError, ConfigError
from glip.utils.messages import shorten
from glip.utils.options import check_mapping
from glip.utils.tables import format_table


def check_test_data(cfg: Config) -> None:
    """Check that a config has test data whose annotation files exist.

    Of several concatenated data sets, missing ones are skipped later, see
    :class:`~glip.datasets.wrappers.ConcatDataset`; it is an error if all are missing. A data set
    without ``test_mode`` gives a warning.

    Args:
        cfg: the config.

    Raises:
        ConfigError: the config has no ``test_dataloader`` or no ``test_evaluator``.
        AnnotationFileNotFoundError: a required annotation file does not exist.
    """
    check_mapping("test_dataloader", cfg.get("test_dataloader"), none=True)
    for name in ("test_dataloader", "test_evaluator"):
        if not cfg.get(name):
            raise ConfigError(f"{config_name(cfg)} has no {name}: there is nothing to evaluate")
    check_annotation_files(cfg.test_dataloader)
    check_test_mode("test_dataloader", cfg.test_dataloader)


def check_test_mode(name: str, loader: Any) -> None:
    """Warn of a data set that is read for the other purpose, training or evaluation.

    Args:
        name: the place of the data loader in the config, for example ``val_dataloader``.
        loader: config of the data loader. What is no such config is ignored here.
    """
    dataset = loader.get("dataset") if isinstance(loader, Mapping) else None
    for leaf in _leaves(dataset) if isinstance(dataset, Mapping) else ():
        is_test, evaluates = bool(leaf.get("test_mode")), not name.startswith("train_")
        if "ann_file" not in leaf or is_test == evaluates:
            continue
        purpose, effect = (
            ("training", "images without objects can be left out and unreadable ones are replaced")
            if evaluates
            else ("an evaluation", "no image is left out and unreadable ones are black")
        )
        print_log(
            f"{shorten(leaf['ann_file'])} of {name} is read for {purpose}, so {effect}: set "
            f"test_mode={evaluates} in its data set",
            logger="current",
            level=logging.WARNING,
        )


def check_annotation_files(loader: Any) -> None:
    """Check that the annotation files of a data loader exist.

    Args:
        loader: config of a data loader, whose data set may concatenate or wrap others. What is no
            such config is ignored here, see :func:`~glip.engine.options.check_options`.

    Raises:
        AnnotationFileNotFoundError: a required file does not exist.
    """
    dataset = loader.get("dataset") if isinstance(loader, Mapping) else None
    if not isinstance(dataset, Mapping):
        return
    leaves = list(_leaves(dataset))
    absent: list[AnnotationFileNotFoundError] = []
    for leaf in leaves:
        try:
            _check_leaf(leaf)
        except AnnotationFileNotFoundError as error:
            skips = dataset.get("skip_missing")
            skips = leaf.get("test_mode", False) if skips is None else skips
            if leaf is dataset or not skips:
                raise
            absent.append(error)
    if absent and len(absent) == len(leaves):
        raise AnnotationFileNotFoundError(
            f"none of the {len(leaves)} data sets exists, so there is nothing to evaluate. The "
            f"first one: {absent[0]}"
        )


def build_dataset(cfg: Config, split: str = "test") -> BaseDataset:
    """Build the data set of a config, after checking its options.

    Args:
        cfg: a config.
        split: ``train``, ``val`` or ``test``.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
        DataError: the annotations are missing or cannot be used.
    """
    loader = cfg[f"{split}_dataloader"]
    check_mapping(f"{split}_dataloader", loader)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope") or "glip"):
        check_data_set(f"{split}_dataloader.dataset", loader.get("dataset"))
        return DATASETS.build(loader.dataset)


def build_evaluator(cfg: Config) -> Evaluator:
    """Build a config's ``test_evaluator`` as mmengine's runner does.

    Args:
        cfg: a config; its scope must be the current one.

    Raises:
        ConfigError: a type or an option is unknown or invalid.
    """
    evaluator = cfg.test_evaluator
    check_evaluator("test_evaluator", evaluator)
    if isinstance(evaluator, Mapping) and "metrics" in evaluator:
        return EVALUATOR.build({"type": "Evaluator", **evaluator})
    return Evaluator(evaluator)


def format_metrics(metrics: Mapping[str, float], datasets: Sequence[str] = ()) -> str:
    """Format metrics as a table.

    Args:
        metrics: values by name; those of several data sets are named
            ``<data set>/<metric>/<name>``.
        datasets: names of the data sets, one row each; empty for a single data set, whose table has
            one row per metric.
    """
    if not datasets:
        return format_table(["metric", "value"], [[name, metrics[name]] for name in metrics])
    measured = {key.split("/")[0] for key in metrics}
    rest = [
        [key, metrics[key]] for key in metrics if key.split("/")[0] not in (*datasets, "average")
    ]
    table = format_table(*dataset_table(metrics, datasets, set(datasets) - measured))
    return f"{table}\n\n{format_table(['metric', 'value'], rest)}" if rest else table


def dataset_names(cfg: Config) -> list[str]:
    """Return the names under which a config's evaluator scores several data sets."""
    evaluator = cfg.test_evaluator
    names = evaluator.get("dataset_prefixes") if isinstance(evaluator, Mapping) else None
    return list(names or ())


def _leaves(dataset: Mapping) -> Iterator[Mapping]:
    """Yield the data sets that a data set concatenates or wraps, recursively."""
    below = dataset.get("datasets") or ([dataset["dataset"]] if dataset.get("dataset") else None)
    if not isinstance(below, Sequence):
        yield dataset
        return
    for each in below:
        if isinstance(each, Mapping):
            yield from _leaves(each)


def _check_leaf(dataset: Mapping) -> None:
    path = dataset.get("ann_file")
    root = dataset.get("data_root")
    if not isinstance(path, str) or not path or not isinstance(root or "", str):
        return
    if root and not is_abs(path):
        path = join_path(root, path)
    check_exists(path, dataset.get("backend_args"))
