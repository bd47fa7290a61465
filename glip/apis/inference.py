"""Detect with functions, in MMDetection's call shapes.

Shapes: H x W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeGuard

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from PIL import Image as PillowImage

from glip.apis.build import (
    build_detector,
    check_detector,
    default_device,
    load_config,
    make_detector,
)
from glip.apis.class_detection import Classes, ClassPrompt
from glip.apis.image_inputs import ImageInputs
from glip.apis.pipelines import make_pipeline
from glip.apis.prompting import Texts, prompts_for
from glip.datasets.image_bytes import image_name
from glip.datasets.transforms import LoadImageFromFile
from glip.models import GLIP, TextFeatureCache
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ImageReadError, PromptError
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_number


class BinaryFile(Protocol):
    """A file object that is opened in mode ``'rb'``, or another object with ``read``."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        ...


#: An image: a path, a URL, the content of an image file, a file object, a Pillow image, a BGR array
#: or an RGB tensor; see :mod:`glip.datasets.images`.
Image = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | PillowImage.Image
    | np.ndarray
    | torch.Tensor
)


def init_detector(
    config: str | Path | Config | None = None,
    checkpoint: str | Path | None = None,
    palette: str = "none",
    device: str | torch.device | None = None,
    cfg_options: Mapping | None = None,
    *,
    weights: str | Path | None = None,
) -> GLIP:
    """Build a detector from a config and a checkpoint, or from a checkpoint alone.

    Args:
        config: a config file, the name of a shipped config, or a config. ``None`` for the config
            that the checkpoint belongs to.
        checkpoint: in the format of microsoft/GLIP, of MMDetection or of this library; a file, a
            URL, or a name of published weights such as ``'glip_tiny_a'``. ``None`` gives random
            weights.
        palette: accepted for compatibility with MMDetection; must be ``'none'``, since colours
            follow the phrases.
        device: where to run; by default the first CUDA device if there is one.
        cfg_options: config values to override, by dotted name.
        weights: another name of ``checkpoint``, as in :class:`~glip.apis.DetInferencer`.

    Returns:
        The detector, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such config.
        CheckpointError: the checkpoint cannot be read safely, does not fit the config, or without a
            config is of no shipped model.
        ConfigError: the config has no GLIP, or the device is not available.
        ValueError: another palette; neither config nor checkpoint, or two checkpoints.
    """
    if palette != "none":
        raise ValueError(f"expected palette 'none' (colours follow the phrases), got {palette!r}")
    if checkpoint is not None and weights is not None:
        raise ValueError("expected checkpoint or weights, which are the same, got both")
    checkpoint = weights if checkpoint is None else checkpoint
    if config is None:
        return make_detector(None, checkpoint, device, cfg_options)
    cfg = load_config(config, cfg_options)
    return build_detector(cfg, checkpoint, default_device() if device is None else device)


def inference_detector(
    model: GLIP,
    imgs: Image | Iterable[Image],
    test_pipeline: Compose | None = None,
    text_prompt: Texts | None = None,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
    *,
    score_thr: float | None = None,
    max_pixels: int | None = None,
    max_bytes: int | None = None,
    classes: Classes | None = None,
) -> DetDataSample | list[DetDataSample]:
    """Detect in one or several images the objects that a prompt names.

    Args:
        model: a detector of :func:`init_detector`.
        imgs: an image (a path, a URL, bytes, a file object, a Pillow image, a BGR array or an RGB
            tensor; see :mod:`glip.datasets.images`), or several: a folder, a pattern such as
            ``'photos/*.jpg'``, a list or a generator.
        test_pipeline: the transforms to use instead of the config's.
        text_prompt: class names, a sentence or a :class:`glip.text.Prompt`, or one for each image;
            see :func:`glip.text.parse_prompt` and :func:`glip.apis.prompting.prompts_for`.
        custom_entities: the text is a list of period-separated names.
        tokens_positive: for each phrase of a sentence its character spans.
        score_thr: return the detections of this score or more; ``None`` for all.
        max_pixels: largest image, height times width, checked before it is decoded; by default the
            config's, which by default is Pillow's limit of about 179 million.
        max_bytes: largest file or download; by default the config's, which by default is 512 MiB.
        classes: detect these classes instead of a prompt, see
            :meth:`glip.apis.class_detection.ClassPrompt.to_classes`; ``score_thr`` is the threshold
            of those without one.

    Returns:
        A data sample for an image, a list for several. ``pred_instances`` has ``bboxes`` (K, 4),
        xyxy pixels of the image, ``scores``, 0-based ``labels`` and ``label_names``; ``presence``
        has the best score of each phrase.

    Raises:
        TypeError: ``model`` is no detector.
        ConfigError: ``score_thr`` is not a finite number.
        PromptError: there is no prompt, or it cannot be parsed or tokenized.
        ClassFileError: the classes are invalid, or their calibration is not of this model.
        ImageReadError: an image cannot be read.
        TypeError: ``imgs`` is or holds something else.
    """
    check_detector(model)
    class_prompt = None
    if classes is not None:
        if text_prompt is not None or custom_entities or tokens_positive is not None:
            raise PromptError("expected a prompt or classes, got both")
        class_prompt = ClassPrompt(classes, model)
        text_prompt = class_prompt.prompt
    if test_pipeline is not None and not callable(test_pipeline):
        raise TypeError(f"expected test_pipeline as a Compose of transforms, got {test_pipeline!r}")
    check_number("score_thr", score_thr, none=True)
    inputs = ImageInputs(imgs)
    images: list[Image] = [each.source for each in inputs]
    limits = ImageLimits(max_pixels, max_bytes)
    prompts = prompts_for(
        len(images),
        text_prompt,
        custom_entities=custom_entities,
        tokens_positive=tokens_positive,
    )
    text_cache = TextFeatureCache(model)
    check_prompts(text_cache, prompts)
    pipelines: dict[bool, Compose] = {}
    samples = []
    for image, prompt in zip(images, prompts, strict=True):
        from_array = not is_path(image)
        if from_array not in pipelines:
            pipelines[from_array] = test_pipeline or make_pipeline(
                model.cfg, from_array=from_array, limits=limits
            )
        samples += detect_batch([prepare(image, prompt, pipelines[from_array])], text_cache)
    if class_prompt is not None:
        samples = [class_prompt.to_classes(sample, score_thr) for sample in samples]
    elif score_thr is not None:
        samples = [sample.filter(score_thr) for sample in samples]
    return samples[0] if inputs.is_single else samples


def is_path(image: Image) -> TypeGuard[str | os.PathLike[str]]:
    """Return whether an image is a path or a URL, rather than its content or its pixels."""
    return isinstance(image, (str, os.PathLike))


def check_prompts(text_cache: TextFeatureCache, prompts: Sequence[Prompt]) -> None:
    """Tokenize prompts, so that an invalid one is reported before any slow work.

    Raises:
        PromptError: a phrase cannot be tokenized.
        TokenizerNotFoundError: there is no tokenizer.
    """
    for prompt in dict.fromkeys(prompts):
        text_cache.chunk_prompt(prompt)


def load_image(image: Image, pipeline: Compose) -> dict:
    """Run the transforms on an image.

    Returns:
        ``inputs``, (3, H, W) of values 0 to 255, and ``data_samples``, without a prompt.

    Raises:
        ImageReadError: the image cannot be read.
    """
    return load_with_pixels(image, pipeline)[0]


def load_with_pixels(image: Image, pipeline: Compose) -> tuple[dict, np.ndarray | None]:
    """Run the transforms on an image, and return also its pixels before resizing.

    So a file object, which can be read only once, or a URL can be drawn on afterwards.

    Returns:
        What :func:`load_image` returns; and the pixels that the pipeline loaded, None if it has no
        step that loads an image.

    Raises:
        ImageReadError: the image cannot be read.
    """
    source = {"img_path": os.fsdecode(image)} if is_path(image) else {"img": image}
    results: dict = {"img_id": 0, **source}
    pixels = None
    for transform in getattr(pipeline, "transforms", [pipeline]):  # or a function of the caller
        results = transform(results)
        if results is None:  # as the pipeline's ignore_empty=True demands
            shown = image_name(image) if is_path(image) else "an image"
            raise ImageReadError(
                f"cannot read {shown}: the transform {type(transform).__name__} "
                "of the test pipeline rejects it"
            )
        if pixels is None and isinstance(transform, LoadImageFromFile):
            pixels = results["img"]
    return results, pixels


def set_prompt(sample: DetDataSample, prompt: Prompt) -> None:
    """Set the prompt of a data sample, and its caption as the plain ``text``."""
    sample.prompt = prompt
    sample.set_metainfo(dict(text=prompt.caption))


def prepare(image: Image, prompt: Prompt, pipeline: Compose) -> dict:
    """Run the transforms on an image, and set its prompt.

    Returns:
        ``inputs``, (3, H, W) of values 0 to 255, and ``data_samples``, with the prompt.

    Raises:
        ImageReadError: the image cannot be read.
    """
    item = load_image(image, pipeline)
    set_prompt(item["data_samples"], prompt)
    return item


def detect_batch(items: Sequence[dict], text_cache: TextFeatureCache) -> list[DetDataSample]:
    """Detect in images of :func:`prepare` as one batch.

    Args:
        items: the images.
        text_cache: of the detector to use.
    """
    batch = {
        "inputs": [item["inputs"] for item in items],
        "data_samples": [item["data_samples"] for item in items],
    }
    with torch.inference_mode():
        return text_cache.model.test_step(batch, encode_prompt=text_cache.encode_prompt)
