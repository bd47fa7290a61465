"""Explain why the pipeline of a data set returns no image, or fails."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from mmcv.transforms import BaseTransform

from glip.utils.errors import DataError, ImageReadError, summarize
from glip.utils.messages import shorten

#: Number of images, evenly spaced, with which the pipeline is run again for the explanation.
_EXAMINED = 20


class _DataSet(Protocol):
    """What is needed of a data set."""

    ann_file: str
    pipeline: Any

    def __len__(self) -> int: ...

    def get_data_info(self, idx: int) -> dict: ...


def explain_empty(dataset: _DataSet, tried: int) -> str:
    """Return which steps of the pipeline dropped the images, and how many.

    Args:
        dataset: The data set, of which ``tried`` images in a row were dropped.
        tried: Number of images.
    """
    indices = range(0, len(dataset), max(len(dataset) // _EXAMINED, 1))
    dropped = Counter(_dropping_step(dataset, idx) for idx in indices)
    dropped.pop("", None)
    listed = "; ".join(
        f"{step} dropped {count} of {len(indices)} images" for step, count in dropped.most_common(3)
    )
    return (
        f"the pipeline of '{dataset.ann_file}' returned no image {tried} times in a row"
        f"{f': {listed}' if listed else ''}. Relax its limits, or correct the annotations."
    )


def explain_failure(dataset: _DataSet, info: dict, error: Exception) -> DataError:
    """Return the error of a pipeline whose steps do not fit together, or do not fit an image.

    Args:
        dataset: The data set.
        info: The data info of the image.
        error: What a step raised.
    """
    step, place = "", error.__traceback__
    while place is not None:
        caller = place.tb_frame.f_locals.get("self")
        step = type(caller).__name__ if isinstance(caller, BaseTransform) else step
        place = place.tb_next
    reason = summarize(error)
    if isinstance(error, KeyError):
        reason = f"it needs {shorten(error.args[0])}, which no step before it sets"
    return DataError(
        f"{step or 'a step'} of the pipeline of '{dataset.ann_file}' fails for the image "
        f"{shorten(info.get('img_path'))} ({reason}): check the order and the options of the steps"
    )


def _dropping_step(dataset: _DataSet, idx: int) -> str:
    """Return the step that drops an image, with its arguments; empty if it is kept."""
    results: Any = dataset.get_data_info(idx)
    for step in dataset.pipeline.transforms:
        try:
            results = step(results)
        except ImageReadError:
            return f"{type(step).__name__} (images that cannot be read)"
        if results is None:
            return shorten(step, 200)
    return ""
