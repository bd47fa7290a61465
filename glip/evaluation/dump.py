"""Store predictions; :mod:`glip.evaluation.stored` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from glip.evaluation.base_metric import BaseDetMetric, ImageResult
from glip.evaluation.predictions import Predictions, to_array
from glip.registry import METRICS
from glip.utils.atomic_write import atomic_open, describe_write_errors
from glip.utils.errors import DataError

#: Meta information that is not stored, because it is the data set's, and long.
_EXCLUDED_KEYS = ("caption_prompt", "batch_input_shape")
#: The types of stored meta information; tensors of annotations, for example, are not stored.
_STORED_TYPES = (str, bool, int, float, list, tuple, np.generic, type(None))
_EXTENSIONS = (".pkl", ".pickle", ".json")


@METRICS.register_module()
@dataclass(kw_only=True, eq=False, repr=False)
class DumpDetResults(BaseDetMetric):
    """Store the detections in every image in a file, each image once.

    The file is a list with a dictionary for each image: its meta information (``img_id``,
    ``img_path``, ``ori_shape``, a caption's phrases and their ground-truth boxes, ...; not the list
    of class names) and ``pred_instances`` with ``bboxes`` (K, 4), xyxy in pixels of the original
    image, ``scores`` (K,), ``labels`` (K,) and ``label_names``; and ``presence``:
    ``scores`` (P,), the best score of each phrase. A pickle holds numpy arrays, a JSON file lists.
    :func:`~glip.evaluation.load_predictions` reads both; an evaluator's ``offline_evaluate``
    computes metrics from them.

    Args:
        out_file_path: the file, with the extension ``.pkl``, ``.pickle`` or ``.json``.

    The other arguments are those of :class:`~glip.evaluation.base_metric.BaseDetMetric`.

    Raises:
        DataError: the file has another extension.
    """

    default_prefix = "dump"

    out_file_path: str | Path = field(kw_only=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not str(self.out_file_path).endswith(_EXTENSIONS):
            raise DataError(
                f"expected out_file_path to end in one of {_EXTENSIONS}, got "
                f"{str(self.out_file_path)!r}."
            )

    def image_key(self, sample: dict) -> Any:
        """Return a key that identifies the image, also among several data sets."""
        return sample.get("dataset_index"), sample["img_id"]

    def extract(self, sample: dict, predictions: Predictions) -> dict[str, Any]:
        """Return an image's meta information and detections."""
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
            if key not in _EXCLUDED_KEYS
            and isinstance(value, _STORED_TYPES)
            and not (key == "text" and not isinstance(value, str))  # LVIS has 1203 class names
        }
        stored: dict[str, Any] = {**kept, "pred_instances": instances}
        if "presence" in sample and not sample.get("unreadable"):
            scores = to_array(sample["presence"]["scores"], np.float32)
            stored["presence"] = dict(scores=scores)
        return stored

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Write the file; return no metrics."""
        stored = list(self.unique_images(results).values())
        path = Path(self.out_file_path)
        with describe_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        content = fileio.dump(_canonical(stored, {}), file_format=path.suffix[1:])
        with atomic_open(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
        print_log(f"wrote the predictions for {len(stored)} images to {path}", logger="current")
        return {}


def _canonical(value: Any, strings: dict[str, str]) -> Any:
    """Copy plain values so that equal values are pickled to equal bytes.

    A pickle refers to an object that occurred before, so its bytes also depend on which equal
    objects are the same one: in a resumed or a distributed evaluation others than in a single one.
    Keys are sorted, because mmengine keeps the names of meta information in a set.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str):
        return strings.setdefault(str(value), str(value))
    if isinstance(value, dict):
        names = sorted(value) if all(isinstance(key, str) for key in value) else list(value)
        return {_canonical(key, strings): _canonical(value[key], strings) for key in names}
    if isinstance(value, list):
        return [_canonical(each, strings) for each in value]
    if isinstance(value, tuple):
        return tuple([_canonical(each, strings) for each in value])
    return np.array(value, order="C") if isinstance(value, np.ndarray) else value


def write_odinw_submission(parts: Mapping[str, str | Path], path: str | Path) -> None:
    """Join the detections on several data sets in one file for the ODinW challenge.

    The format of the zero-shot and full-shot tracks (README of microsoft/GLIP, "Submit Your Results
    to ODinW Leaderboard") is a JSON object that maps the name of each data set
    (``WildfireSmoke``, ...) to a list in COCO's result format.

    Args:
        parts: for each data set its file of detections in COCO's result format, as
            :class:`~glip.evaluation.CocoMetric` writes it.
        path: the JSON file to write.
    """
    joined = {name: fileio.load(str(part), file_format="json") for name, part in parts.items()}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    fileio.dump(joined, str(path), file_format="json")
    print_log(f"wrote the detections on {len(joined)} data sets to {path}", logger="current")
