"""Detect in the slices of SAHI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glip.apis.det_inferencer import DetInferencer
from glip.apis.prompting import Texts, prompt_for_all
from glip.utils.errors import DependencyError
from glip.utils.messages import shorten
from glip.utils.options import check_number

if TYPE_CHECKING:
    from sahi.models.base import DetectionModel


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Reverse the channels of an RGB or RGBA array, without its alpha; (H, W) stays as it is.

    Raises:
        TypeError: it is no array.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"expected an RGB array or a list of them, got {shorten(image)}")
    is_color = image.ndim == 3 and image.shape[2] in (3, 4)
    return image[..., 2::-1] if is_color else image


def sahi_model(inferencer: DetInferencer, texts: Texts, score_thr: float = 0.3) -> DetectionModel:
    """Return a SAHI ``DetectionModel`` for ``get_sliced_prediction`` and its relatives.

    The text is encoded once for all slices.

    Args:
        inferencer: the detector.
        texts: class names or a sentence; their names are the categories.
        score_thr: return the detections of this score or more.

    Raises:
        DependencyError: sahi is not installed.
        PromptError: there is no prompt, or it cannot be parsed.
        ConfigError: ``score_thr`` is not a finite number.
        TypeError: the detector is something else.
    """
    if not callable(inferencer):
        raise TypeError(f"expected a DetInferencer, got {shorten(inferencer)}")
    check_number("score_thr", score_thr)
    try:
        from sahi.models.base import DetectionModel
        from sahi.prediction import ObjectPrediction
        from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list
    except ImportError as error:
        raise DependencyError(f"sahi_model needs sahi: pip install sahi ({error})") from None
    prompt = prompt_for_all(texts)

    class GLIPDetectionModel(DetectionModel):
        """A glip model with a fixed prompt."""

        def set_device(self, device: Any = None) -> None:
            """Keep the device of the detector."""

        def load_model(self) -> None:
            """Keep the detector, which is loaded."""

        def set_model(self, model: Any) -> None:
            """Set the detector."""
            self.model = model

        @property
        def category_names(self) -> list[str]:
            """Names of the categories, by label."""
            return prompt.names

        def perform_inference(self, image: np.ndarray) -> None:
            """Detect in an RGB array, or in a list of them."""
            images = image if isinstance(image, list) else [image]
            self._original_predictions = [
                self.model(
                    to_bgr(each),
                    texts=prompt,
                    score_thr=self.confidence_threshold,
                    return_datasamples=True,
                )["predictions"][0].pred_instances
                for each in images
            ]

        def _create_object_prediction_list_from_original_predictions(
            self,
            shift_amount_list: list[list[int]] | None = None,
            full_shape_list: list[list[int]] | None = None,
        ) -> None:
            shifts = fix_shift_amount_list(shift_amount_list or [[0, 0]])
            shapes = fix_full_shape_list(full_shape_list) if full_shape_list else [None]
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box,
                        category_id=label,
                        category_name=prompt.names[label],
                        score=score,
                        shift_amount=shifts[at],
                        full_shape=shapes[at],
                    )
                    for box, label, score in zip(
                        found.bboxes.tolist(),
                        found.labels.tolist(),
                        found.scores.tolist(),
                        strict=True,
                    )
                ]
                for at, found in enumerate(self._original_predictions)
            ]

    return GLIPDetectionModel(model=inferencer, confidence_threshold=score_thr, load_at_init=True)
