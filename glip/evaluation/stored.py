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
        A dictionary for each image; its ``pred_instances`` hold tensors ``bboxes`` (K, 4), with
        x1 <= x2 and y1 <= y2, and ``scores`` (K,) from 0 to 1, float32, ``labels`` (K,) int64, and
        a list ``label_names`` of K names. Labels may be stored as floats without a fraction, 1.0,
        as tables and JavaScript write integers.

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
    if not stored:
        raise DataError(
            f"'{path}' holds no images: expected predictions as tools/test.py --out stores them, "
            "an entry for each image, also for those without detections"
        )
    images: list[dict[str, Any]] = []
    problems: list[str] = []
    for index, each in enumerate(stored):
        try:
            images.append(_image(each))
        except ValueError as error:
            name = f"image {index}"
            if isinstance(each, dict) and isinstance(each.get("img_id"), (int, str)):
                name += f" (img_id {shorten(repr(each['img_id']), 40)})"
            problems.append(f"{name} {error}")
    if problems:
        raise DataError(
            f"'{path}' does not hold predictions as tools/test.py --out stores them: "
            f"{len(problems)} of {len(stored)} images cannot be used, for example {problems[0]}"
        )
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
    """Check that stored predictions are of the images and the classes of a data set, and of all.

    A metric counts an image without predictions as one without detections, so that the predictions
    of a part of the data would give low numbers.

    Args:
        predictions: as :func:`load_predictions` returns them.
        dataset: the data set, or a ConcatDataset of several.
        path: where the predictions come from, for error messages.

    Raises:
        DataError: an image or a class is not the data set's, or an image has no predictions.
    """
    parts = {0: dataset}
    if isinstance(dataset, ConcatDataset):
        existing = [at for at, reason in enumerate(dataset.missing) if reason is None]
        parts = dict(zip(existing, dataset.datasets, strict=True))
    known = {at: _image_ids(part) for at, part in parts.items()}
    classes = {at: part.metainfo.get("classes") for at, part in parts.items()}
    unknown, wrong = [], []
    found: dict[int, set] = {at: set() for at in parts}
    for each in predictions:
        at, key = each.get("dataset_index") or 0, each["img_id"]
        ids = known.get(at)
        if at not in parts or (ids is not None and key not in ids):
            unknown.append(key)
            continue
        found[at].add(key)
        labels = each["pred_instances"]["labels"]
        if classes[at] and len(labels) and int(labels.max()) >= len(classes[at]):
            wrong.append((key, int(labels.max()), len(classes[at])))
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(predictions)} images with predictions are not in "
            f"{_name(dataset)}, for example {shorten(repr(unknown[:3]))}: the predictions are of "
            "other data"
        )
    if wrong:
        key, label, number = wrong[0]
        raise DataError(
            f"{len(wrong)} of {len(predictions)} images in '{path}' have a detection of a class "
            f"that the data do not have, for example {shorten(repr(key))} the label {label} of "
            f"{number} classes: the predictions are of other classes. Use the config that they "
            "were made with"
        )
    missing = [key for at, ids in known.items() for key in ids or () if key not in found[at]]
    if missing:
        number = sum(len(part) for part in parts.values())
        raise DataError(
            f"{len(missing)} of the {number} images of {_name(dataset)} have no entry in '{path}', "
            f"for example {shorten(repr(missing[:3]))}: store the predictions of all images with "
            "tools/test.py --out, or select the images with test_dataloader.dataset.indices"
        )


def _image_ids(dataset: Any) -> dict[Any, None] | None:
    """Return the ids of a data set's images, in their order; None if they have none."""
    ids = dict.fromkeys(dataset.get_data_info(at).get("img_id") for at in range(len(dataset)))
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
    try:
        content = fileio.get(path)
        if not path.endswith(".json"):
            return restricted_loads(content)
        value = json.loads(content)
        check_nesting(value, len(content))
    except (pickle.UnpicklingError, ValueError, RecursionError, MemoryError) as error:
        reason = shorten(str(error)) or "it is larger than the memory"
        raise DataError(
            f"'{path}' cannot be read as stored predictions ({reason}): {_EXPECTED}"
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
    checks = (
        ("labels that are not integers from 0 on", labels, _is_bad_label(labels)),
        ("scores that are not from 0 to 1", scores, (scores < 0) | (scores > 1)),
        ("boxes with x2 < x1 or y2 < y1", bboxes, (bboxes[:, 2:] < bboxes[:, :2]).any(axis=1)),
    )
    for what, values, bad in checks:
        if bad.any():
            example = shorten(str(values[bad][0].tolist()), 60)
            raise ValueError(f"has {int(bad.sum())} {what}, for example {example}")
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


def _is_bad_label(labels: np.ndarray) -> np.ndarray:
    return (labels != np.floor(labels)) | (labels < 0) | (labels >= 2**31)


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
