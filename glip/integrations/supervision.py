"""Detect in the slices of supervision's ``InferenceSlicer``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from glip.apis.det_inferencer import DetInferencer
from glip.apis.prompting import Texts, prompt_for_all
from glip.utils.messages import shorten
from glip.utils.options import check_number

if TYPE_CHECKING:
    import supervision


def slicer_callback(
    inferencer: DetInferencer, texts: Texts, score_thr: float = 0.3
) -> Callable[[np.ndarray], supervision.Detections]:
    """Return a callback for ``supervision.InferenceSlicer(callback=...)``.

    The text is encoded once for all slices.

    Args:
        inferencer: the detector; threads of the slicer may share it.
        texts: class names or a sentence.
        score_thr: return the detections of this score or more.

    Returns:
        A function from a slice (h, w, 3), BGR as OpenCV reads it, to ``supervision.Detections``
        with class names.

    Raises:
        PromptError: there is no prompt, or it cannot be parsed.
        ConfigError: ``score_thr`` is not a finite number.
        TypeError: the detector is something else.
    """
    if not callable(inferencer):
        raise TypeError(f"expected a DetInferencer, got {shorten(inferencer)}")
    check_number("score_thr", score_thr)
    prompt = prompt_for_all(texts)

    def detect(image: np.ndarray) -> supervision.Detections:
        output = inferencer(image, texts=prompt, score_thr=score_thr, return_datasamples=True)
        return output["predictions"][0].to_supervision()

    return detect
