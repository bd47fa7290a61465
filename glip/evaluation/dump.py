"""Storing predictions, and reading them back to score them again."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine import fileio
from mmengine.logging import print_log

from glip.checkpoint.restricted_pickle import restricted_loads
from glip.evaluation.image_metric import ImageMetric, Predictions
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileNotFoundError, DataError

#: Meta information that is not stored: it is the data set's, and long.
_LEFT_OUT = ("caption_prompt", "batch_input_shape")
_SUFFIXES = (".pkl", ".pickle", ".json")


@METRICS.register_module()
class DumpDetResults(ImageMetric):
    """Store the detections of every image, once, in a file.

    The file is a list with a dictionary for each image: its meta information (``img_id``,
    ``img_path``, ``ori_shape``, a caption's phrases and their true boxes, ...; not a list of class
    names) and ``pred_instances`` with ``bboxes`` (K lists xyxy in pixels of the original image),
    ``scores``, ``labels`` and ``label_names``. Pickled files hold numpy arrays, JSON files lists.
    :func:`load_predictions` reads both; an evaluator's ``offline_evaluate`` scores them.

    Args:
        out_file_path: where to; the name must end in ``.pkl``, ``.pickle`` or ``.json``.
        collect_device: ``'cpu'`` or ``'gpu'``, where the processes' results are gathered.
        collect_dir: a folder all processes share, for gathering on the CPU.

    Raises:
        DataError: the name ends in something else.
    """

    default_prefix = "dump"

    def __init__(
        self, out_file_path: str, collect_device: str = "cpu", collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        if not str(out_file_path).endswith(_SUFFIXES):
            raise DataError(
                f"predictions are stored in a file whose name ends in one of {_SUFFIXES}, but got "
                f"{str(out_file_path)!r}."
            )
        self.out_file_path = str(out_file_path)

    def image_key(self, sample: dict) -> Any:
        """Return what tells an image from all others, also among several data sets."""
        return sample.get("dataset_index"), sample["img_id"]

    def read_sample(self, sample: dict, predictions: Predictions) -> dict[str, Any]:
        """Keep an image's meta information and detections."""
        given = sample["pred_instances"]
        instances: dict[str, Any] = dict(
            bboxes=predictions.bboxes.astype(np.float32),
            scores=predictions.scores.astype(np.float32),
            labels=predictions.labels.astype(np.int64),
        )
        names = given.get("label_names")
        if names is not None and len(names) == len(predictions):
            instances["label_names"] = list(names)
        kept = {
            key: value
            for key, value in sample.items()
            if key not in _LEFT_OUT and _is_plain(value) and not _is_names(key, value)
        }
        return {**kept, "pred_instances": instances}

    def score(self, images: dict[Any, Any]) -> dict[str, float]:
        """Write the file; there are no numbers."""
        stored = list(images.values())
        if self.out_file_path.endswith(".json"):
            stored = [_as_lists(each) for each in stored]
        Path(self.out_file_path).parent.mkdir(parents=True, exist_ok=True)
        fileio.dump(stored, self.out_file_path)
        print_log(
            f"the predictions for {len(stored)} images are written to {self.out_file_path}",
            logger="current",
        )
        return {}


def load_predictions(path: str | Path) -> list[dict[str, Any]]:
    """Read what :class:`DumpDetResults` stored.

    Of a pickled file only numbers, text and plain containers are read; it cannot run code.

    Args:
        path: of the ``.pkl`` or ``.json`` file.

    Returns:
        A dictionary for each image; its ``pred_instances`` hold tensors ``bboxes`` (K, 4),
        ``scores`` (K,) and ``labels`` (K,), and a list ``label_names`` of K names.

    Raises:
        AnnotationFileNotFoundError: there is no such file.
        DataError: it holds something else.
    """
    if not fileio.exists(str(path)):
        raise AnnotationFileNotFoundError(f"there is no file of predictions '{path}'.")
    stored = _read(str(path))
    if not isinstance(stored, list) or any("pred_instances" not in each for each in stored):
        raise DataError(
            f"'{path}' does not hold predictions as DumpDetResults stores them: expected a list "
            "with 'pred_instances' for each image."
        )
    for each in stored:
        instances = each["pred_instances"]
        for key, dtype in (("bboxes", torch.float32), ("scores", torch.float32)):
            instances[key] = torch.as_tensor(instances[key], dtype=dtype)
        instances["bboxes"] = instances["bboxes"].reshape(-1, 4)
        instances["labels"] = torch.as_tensor(instances["labels"], dtype=torch.int64)
    return stored


def _read(path: str) -> Any:
    content = fileio.get(path)
    try:
        if path.endswith(".json"):
            return json.loads(content)
        return restricted_loads(content)
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise DataError(
            f"'{path}' cannot be read as stored predictions ({error}): expected a .pkl or .json "
            "file that tools/test.py --out wrote."
        ) from error


def write_odinw_submission(parts: Mapping[str, str | Path], path: str | Path) -> None:
    """Join the detections on several data sets into one file for the ODinW challenge.

    Its format for the zero-shot and full-shot tracks (README of microsoft/GLIP, "Submit Your
    Results to ODinW Leaderboard"): an object with an entry for each data set, named as there
    (``WildfireSmoke``, ...), which is a list in COCO's result format.

    Args:
        parts: for each data set the file of its detections in COCO's result format, as
            :class:`~glip.evaluation.CocoMetric` writes it.
        path: where to; a ``.json`` file.
    """
    joined = {name: fileio.load(str(part)) for name, part in parts.items()}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    fileio.dump(joined, str(path), file_format="json")
    print_log(f"the detections on {len(joined)} data sets are written to {path}", logger="current")


def _is_plain(value: Any) -> bool:
    """Whether a value is plain data, and not annotations as tensors."""
    if isinstance(value, dict):
        return False
    return value is None or isinstance(value, (str, bool, int, float, list, tuple, np.generic))


def _is_names(key: str, value: Any) -> bool:
    """Whether it is a prompt of class names, a thousand of them for LVIS."""
    return key == "text" and not isinstance(value, str)


def _as_lists(image: dict[str, Any]) -> dict[str, Any]:
    """Turn arrays and numpy numbers into what JSON can hold."""
    instances = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in image["pred_instances"].items()
    }
    plain = {
        key: value.item() if isinstance(value, np.generic) else value
        for key, value in image.items()
    }
    return {**plain, "pred_instances": instances}
