"""Detect in one image with any number of prompts.

Shapes: H x W pixels, K detections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config

from glip.apis.build import make_detector
from glip.apis.class_detection import Classes, ClassPrompt, with_class_limit
from glip.apis.inference import Image, is_path, load_image, set_prompt
from glip.apis.pipelines import make_pipeline
from glip.apis.prompting import prompts_for
from glip.classes.class_file import ClassFile
from glip.classes.reading import load_classes
from glip.models import GLIP, TextFeatureCache
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ConfigError, PromptError
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_number


class Predictor:
    """Encode an image once, then detect in it with any number of prompts.

    :meth:`set_image` computes what does not depend on the text: the backbone and the feature
    pyramid, which take most of the time; in GLIP-T (A), which has no deep fusion, all but the
    classification. Prompts that were used before are not encoded again, also on other images.

    If the model's weights change, call :meth:`set_image` again. A predictor holds one image: give
    each thread a predictor of its own; they may share the model and a text cache.

    Example:
        >>> predictor = Predictor(weights="glip_tiny_a")  # doctest: +SKIP
        >>> predictor.set_image("demo/demo.jpg")  # doctest: +SKIP
        >>> predictor.predict("bench . car .").pred_instances.bboxes  # doctest: +SKIP

    Args:
        model: a detector of :func:`glip.apis.init_detector`, or a config as in
            :class:`~glip.apis.DetInferencer`. ``None`` for the config that the weights belong to.
        weights: a checkpoint: a file, a URL, or a name of published weights.
        device: where to run; by default the first CUDA device if there is one.
        cfg_options: config values to override, by dotted name.
        max_pixels: largest image, height times width, checked before it is decoded; by default the
            config's, which by default is Pillow's limit of about 179 million.
        max_bytes: largest file or download; by default the config's, which by default is 512 MiB.
        text_cache: text features that predictors of the same ``model`` share; by default the
            predictor has its own.
        classes: detect these classes instead of the prompt of each call, as in
            :class:`~glip.apis.DetInferencer`.

    Raises:
        TypeError: ``model`` is something else.
        ValueError: neither model nor weights are given, or ``text_cache`` is of another model.
        ClassFileError: the classes are invalid, or their calibration is not of this model.
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
    """

    def __init__(
        self,
        model: str | Path | Config | GLIP | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        cfg_options: Mapping | None = None,
        *,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
        text_cache: TextFeatureCache | None = None,
        classes: Classes | None = None,
    ):
        if classes is not None and not isinstance(classes, ClassFile):
            classes = load_classes(classes)  # before the model is built
        if classes is not None and not isinstance(model, GLIP):
            cfg_options = with_class_limit(cfg_options)
        self.model = make_detector(model, weights, device, cfg_options)
        if text_cache is not None and text_cache.model is not self.model:
            raise ValueError("expected a text_cache of the same model, got one of another model")
        self._classes = None if classes is None else ClassPrompt(classes, self.model)
        self._limits = ImageLimits(max_pixels, max_bytes)
        self._text_cache = TextFeatureCache(self.model) if text_cache is None else text_cache
        self._levels: list[torch.Tensor] | None = None
        self._sample: DetDataSample | None = None

    def set_image(self, image: Image) -> None:
        """Encode an image; it replaces the one before.

        Args:
            image: a path, a URL, bytes, a file object, a Pillow image, a BGR array (H, W, 3) of
                values 0 to 255 or an RGB tensor; see :mod:`glip.datasets.images`.

        Raises:
            ImageReadError: it cannot be read.
            TypeError: it is something else.
        """
        self._levels = self._sample = None
        self._text_cache.clear_if_changed()
        pipeline = make_pipeline(self.model.cfg, from_array=not is_path(image), limits=self._limits)
        item = load_image(image, pipeline)
        batch = dict(inputs=[item["inputs"]], data_samples=[item["data_samples"]])
        with torch.inference_mode():
            batch = self.model.data_preprocessor(batch, False)
            self._levels = self.model.encode_image(batch["inputs"])
        self._sample = batch["data_samples"][0]

    def predict(
        self,
        text: str | Sequence[str] | Prompt | None = None,
        *,
        custom_entities: bool = False,
        tokens_positive: Sequence | int | None = None,
        score_thr: float | None = None,
    ) -> DetDataSample:
        """Detect the objects that a prompt names, or the predictor's classes.

        Args:
            text: class names, a sentence or a prompt; see :func:`glip.text.parse_prompt`
                and :func:`glip.apis.prompting.prompts_for`. None for a predictor with classes.
            custom_entities: the text is a list of period-separated names.
            tokens_positive: for each phrase of a sentence its character spans.
            score_thr: return the detections of this score or more; ``None`` for all. With classes
                the threshold of those without one, ``None`` for the model's.

        Returns:
            A data sample. ``pred_instances`` has ``bboxes`` (K, 4), xyxy pixels of the image,
            ``scores``, 0-based ``labels`` and ``label_names``, best score first; ``presence`` has
            the best score of each phrase. With classes see
            :meth:`glip.apis.class_detection.ClassPrompt.to_classes`.

        Raises:
            ConfigError: no image was set, or ``score_thr`` is not a finite number.
            PromptError: the prompt cannot be parsed or tokenized; there is none, or one beside
                classes.
        """
        if self._levels is None or self._sample is None:
            raise ConfigError("there is no image to detect in: call set_image first")
        check_number("score_thr", score_thr, none=True)
        if self._classes is not None:
            if text is not None or custom_entities or tokens_positive is not None:
                raise PromptError(
                    "this predictor detects the classes that it was made with: expected no prompt "
                    "in the call, or Predictor without classes"
                )
            text = self._classes.prompt
        (prompt,) = prompts_for(
            1, text, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        sample = self._sample.clone()
        set_prompt(sample, prompt)
        with torch.inference_mode():
            encoded = self._text_cache.encode_prompt(prompt)
            ((result,),) = self.model.predict_prompts(self._levels, [sample], [[encoded]])
        sample.pred_instances, sample.presence = result
        if self._classes is not None:
            return self._classes.to_classes(sample, score_thr)
        return sample if score_thr is None else sample.filter(score_thr)
