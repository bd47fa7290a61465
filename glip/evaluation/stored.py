"""Read stored predictions, and check all of them before anything is counted."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine import fileio
from torch import Tensor

from glip.checkpoint.restricted_pickle import restricted_loads
from glip.datasets import ConcatDataset
from glip.utils.errors import AnnotationFileNotFoundError, DataError, shorten
from glip.utils.nesting import check_nesting
from glip.utils.regular_files import file_problem

_EXPECTED = "expected a .pkl or .json file that tools/test.py --out wrote."


def load_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Read what :class:`~glip.evaluation.DumpDetResults` stored.

    A pickle is read with the restricted unpickler, so it cannot run code.

    Args:
        path: the ``.pkl``, ``.pickle`` or ``.json`` file.

    Returns:
        A dictionary for each image; its ``pred_instances`` hold tensors ``bboxes`` (K, 4) and
        ``scores`` (K,) float32, ``labels`` (K,) int64, and a list ``label_names`` of K names.

    Raises:
        AnnotationFileNotFoundError: the file does not exist.
        DataError: it does not hold predictions, or one is invalid; the message names the image.
    """
    path = str(path)
    stored = _read(path)
    if not isinstance(stored, list):
        raise DataError(
            f"'{path}' does not hold predictions as tools/test.py --out stores them: expected a "
            f"list of images, got a {type(stored).__name__}"
        )
    images: list[dict[str, Any]] = []
    for index, each in enumerate(stored):
        try:
            images.append(_image(each))
        except ValueError as error:
            name = f"image {index}"
            if isinstance(each, dict) and isinstance(each.get("img_id"), (int, str)):
                name += f" (img_id {shorten(repr(each['img_id']), 40)})"
            raise DataError(
                f"'{path}' does not hold predictions as tools/test.py --out stores them: {name} "
                f"{error}"
            ) from None
    counts = Counter((each.get("dataset_index"), each["img_id"]) for each in images)
    repeated = [key for (_, key), count in counts.items() if count > 1]
    if repeated:
        raise DataError(
            f"'{path}' has {len(repeated)} images more than once, for example the img_id "
            f"{shorten(repr(repeated[0]))}: expected each image once. Store the predictions again "
            "with tools/test.py --out"
        )
    return images


def check_predictions(
    predictions: Sequence[dict[str, Any]], dataset: Any, path: str | Path
) -> None:
    """Check that stored predictions are of the images and the classes of a data set.

    Args:
        predictions: as :func:`load_predictions` returns them.
        dataset: the data set, or a ConcatDataset of several.
        path: where the predictions come from, for error messages.

    Raises:
        DataError: an image or a class is not the data set's.
    """
    parts = {0: dataset}
    if isinstance(dataset, ConcatDataset):
        existing = [at for at, reason in enumerate(dataset.missing) if reason is None]
        parts = dict(zip(existing, dataset.datasets, strict=True))
    known = {at: _image_ids(part) for at, part in parts.items()}
    classes = {at: part.metainfo.get("classes") for at, part in parts.items()}
    unknown = []
    for each in predictions:
        at = each.get("dataset_index") or 0
        ids = known.get(at)
        if ids is not None and each["img_id"] not in ids:
            unknown.append(each["img_id"])
            continue
        labels = each["pred_instances"]["labels"]
        if classes.get(at) and len(labels) and int(labels.max()) >= len(classes[at]):
            raise DataError(
                f"the image {shorten(repr(each['img_id']))} in '{path}' has a detection with the "
                f"label {int(labels.max())}, but the data have {len(classes[at])} classes: the "
                "predictions are of other classes. Use the config that they were made with"
            )
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(predictions)} images with predictions are not in "
            f"{_name(dataset)}, for example {shorten(repr(unknown[:3]))}: the predictions are of "
            "other data"
        )


def _image_ids(dataset: Any) -> set | None:
    """Return the ids of a data set's images; None if they have none."""
    ids = {dataset.get_data_info(index).get("img_id") for index in range(len(dataset))}
    return None if None in ids else ids


def _name(dataset: Any) -> str:
    file = getattr(dataset, "ann_file", None)
    return f"'{file}'" if file else "the data"


def _read(path: str) -> Any:
    problem = None if "://" in path else file_problem(path)
    if problem == "does not exist" or not (problem or fileio.exists(path)):
        raise AnnotationFileNotFoundError(
            f"there is no file of predictions '{shorten(path, 1000)}'"
        )
    if problem:
        raise DataError(f"the file of predictions '{path}' {problem}: {_EXPECTED}")
    content = fileio.get(path)
    try:
        if not path.endswith(".json"):
            return restricted_loads(content)
        value = json.loads(content)
        check_nesting(value, len(content))
    except (pickle.UnpicklingError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            f"'{path}' cannot be read as stored predictions ({shorten(str(error))}): {_EXPECTED}"
        ) from None
    return value


def _image(entry: Any) -> dict[str, Any]:
    """Return an image with its detections as tensors.

    Raises:
        ValueError: it is invalid; the message continues a sentence.
    """
    if not isinstance(entry, dict):
        raise ValueError(f"is a {type(entry).__name__}, not a dictionary")
    image = dict(entry)
    for key in ("img_id", "dataset_index"):
        if isinstance(image.get(key), np.generic):
            image[key] = image[key].item()
    if "img_id" not in image:
        raise ValueError("has no 'img_id'")
    if type(image["img_id"]) not in (int, str):
        raise ValueError("has an 'img_id' that is not an integer or a text")
    index = image.get("dataset_index")
    if index is not None and (type(index) is not int or index < 0):
        raise ValueError("has a 'dataset_index' that is not the number of a data set")
    if not isinstance(image.get("pred_instances"), dict):
        raise ValueError("has no 'pred_instances'")
    image["pred_instances"] = _instances(image["pred_instances"])
    return image


def _instances(given: dict[str, Any]) -> dict[str, Any]:
    missing = [key for key in ("bboxes", "scores", "labels") if key not in given]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)} in 'pred_instances'")
    bboxes = _numbers(given["bboxes"], "bboxes")
    if not bboxes.size:
        bboxes = bboxes.reshape(0, 4)
    scores, labels = _numbers(given["scores"], "scores"), _numbers(given["labels"], "labels")
    if bboxes.ndim != 2 or bboxes.shape[1] != 4 or scores.ndim != 1 or labels.ndim != 1:
        raise ValueError(
            "has bboxes, scores and labels of the shapes "
            f"{bboxes.shape}, {scores.shape} and {labels.shape}, not (K, 4), (K,) and (K,)"
        )
    if not len(bboxes) == len(scores) == len(labels):
        raise ValueError(
            f"has {len(bboxes)} bboxes, {len(scores)} scores and {len(labels)} labels, not equally "
            "many"
        )
    for name, values in (("bboxes", bboxes), ("scores", scores), ("labels", labels)):
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(np.float32)).all()
        if not finite:
            raise ValueError(f"has non-finite (NaN or Inf) {name}")
    if (labels != np.floor(labels)).any() or (labels < 0).any() or (labels >= 2**31).any():
        raise ValueError("has labels that are not integers from 0 on")
    names = given.get("label_names")
    valid = isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names)
    if names is not None and (not valid or len(names) != len(labels)):
        raise ValueError("has 'label_names' that are not a text for each detection")
    return {
        **given,
        "bboxes": torch.from_numpy(bboxes.astype(np.float32)),
        "scores": torch.from_numpy(scores.astype(np.float32)),
        "labels": torch.from_numpy(labels.astype(np.int64)),
    }


def _numbers(values: Any, name: str) -> np.ndarray:
    """Return values as an array of numbers; texts and booleans are not numbers."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().float().numpy()
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ValueError(f"has {name} that are not a list")
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError, TypeError):
        raise ValueError(f"has {name} that are not a table of numbers") from None
    if array.size and array.dtype.kind not in "iuf":
        raise ValueError(f"has {name} that are not numbers")
    return array if array.size else array.astype(np.float32)
