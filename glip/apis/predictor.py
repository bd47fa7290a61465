"""Asking about one picture again and again.

Shapes: H x W pixels, K detections.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from glip.apis.inference import Image, make_pipeline, prepare
from glip.structures import DetDataSample
from glip.text import Prompt, parse_prompt
from glip.utils.errors import ConfigError


class Predictor:
    """Look at a picture once, then answer any number of prompts about it.

    What needs no text is done by :meth:`set_image`: backbone and pyramid, which is most of the
    time; in GLIP-T (A), which does not fuse image and text, all but the last products.

    Example:
        >>> predictor = Predictor(init_detector(config, checkpoint))  # doctest: +SKIP
        >>> predictor.set_image("demo/demo.jpg")  # doctest: +SKIP
        >>> predictor.predict("bench . car .").pred_instances.bboxes  # doctest: +SKIP

    Args:
        model: of :func:`glip.apis.init_detector`.
    """

    def __init__(self, model: nn.Module):
        self.model = model
        self._levels: list[torch.Tensor] | None = None
        self._sample: DetDataSample | None = None

    def set_image(self, image: Image) -> None:
        """Look at a picture; it takes the place of the one before.

        Args:
            image: a path, an address, or a BGR array (H, W, 3) of values 0...255.

        Raises:
            ImageReadError: it cannot be read.
        """
        self._levels = self._sample = None
        pipeline = make_pipeline(self.model.cfg, from_array=isinstance(image, np.ndarray))
        item = prepare(image, _NOTHING, pipeline)
        batch = dict(inputs=[item["inputs"]], data_samples=[item["data_samples"]])
        with torch.inference_mode():
            batch = self.model.data_preprocessor(batch, False)
            self._levels = self.model.look(batch["inputs"])
        self._sample = batch["data_samples"][0]

    def predict(
        self,
        text: str | Sequence[str] | Prompt,
        *,
        custom_entities: bool = False,
        tokens_positive: Sequence | int | None = None,
    ) -> DetDataSample:
        """Detect what a prompt names in the picture.

        Args:
            text: names, a sentence or a prompt; see :func:`glip.text.parse_prompt`.
            custom_entities: the text is a list of names between points.
            tokens_positive: for each phrase of a sentence its ranges of characters.

        Returns:
            a data sample. ``pred_instances`` has ``bboxes`` (K, 4), xyxy pixels of the picture,
            ``scores``, 0-based ``labels`` and ``label_names``, best first.

        Raises:
            ConfigError: no picture was set.
            PromptError: the prompt cannot be looked for.
        """
        if self._levels is None or self._sample is None:
            raise ConfigError("there is no picture to ask about: call set_image first")
        prompt = parse_prompt(
            text, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        sample = self._sample.clone()
        sample.set_metainfo(dict(text=prompt))
        with torch.inference_mode():
            (found,) = self.model.answer(self._levels, [sample], [[prompt]])[0]
        sample.pred_instances = found
        return sample


#: The pipeline wants a prompt; looking does not.
_NOTHING = Prompt.from_class_names(["thing"])
