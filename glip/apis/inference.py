"""Detecting with functions, in MMDetection's call shapes.

Shapes: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from torch import nn

from glip.apis.build import build_detector, config_name, default_device, load_config
from glip.apis.prompting import Texts, prompts_for
from glip.registry import TRANSFORMS, build_part
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ConfigError, summarize

#: A picture: a path, an address, or a BGR array (H, W, 3) of values 0...255.
Image = str | Path | np.ndarray

#: What the model needs to know of a picture, whatever else a pipeline packs.
_META_KEYS = ("img_path", "ori_shape", "img_shape", "scale_factor", "text")


def init_detector(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    palette: str = "none",
    device: str | torch.device | None = None,
    cfg_options: Mapping | None = None,
) -> nn.Module:
    """Build a detector from a config and a checkpoint.

    Args:
        config: a config file, the name of a shipped config, or a config.
        checkpoint: in the format of microsoft/GLIP, of MMDetection or of this library; a file or
            an address. ``None`` gives random weights.
        palette: accepted for MMDetection's sake; must be ``'none'``, colours follow the phrases.
        device: where to run; by default the first CUDA device if there is one.
        cfg_options: values of the config to override by dotted name.

    Returns:
        the detector, in evaluation mode.

    Raises:
        FileNotFoundError: there is no such config.
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
        ConfigError: the config has no GLIP, or the device is not there.
        ValueError: another palette.
    """
    if palette != "none":
        raise ValueError(f"expected palette 'none' (colours follow the phrases), got {palette!r}")
    cfg = load_config(config, cfg_options)
    return build_detector(cfg, checkpoint, default_device() if device is None else device)


def inference_detector(
    model: nn.Module,
    imgs: Image | Sequence[Image],
    test_pipeline: Compose | None = None,
    text_prompt: Texts | None = None,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
) -> DetDataSample | list[DetDataSample]:
    """Detect what a prompt names in one picture or several.

    Args:
        model: of :func:`init_detector`.
        imgs: a picture or a list of pictures.
        test_pipeline: the transforms to use instead of the config's.
        text_prompt: names, a sentence or a :class:`glip.text.Prompt`, or one for each picture; see
            :func:`glip.text.parse_prompt` and :func:`glip.apis.prompting.prompts_for`.
        custom_entities: the text is a list of names between points.
        tokens_positive: for each phrase of a sentence its ranges of characters.

    Returns:
        a data sample for a picture, a list for a list. ``pred_instances`` has ``bboxes`` (K, 4),
        xyxy pixels of the picture, ``scores``, 0-based ``labels`` and ``label_names``.

    Raises:
        PromptError: there is no prompt, or it cannot be looked for.
        ImageReadError: a picture cannot be read.
    """
    many = isinstance(imgs, Sequence) and not isinstance(imgs, str)
    pictures = list(imgs) if many else [imgs]
    prompts = prompts_for(
        len(pictures),
        text_prompt,
        custom_entities=custom_entities,
        tokens_positive=tokens_positive,
    )
    check_prompts(model, prompts)
    pipelines: dict[bool, Compose] = {}
    samples = []
    for picture, prompt in zip(pictures, prompts, strict=True):
        from_array = isinstance(picture, np.ndarray)
        if from_array not in pipelines:
            pipelines[from_array] = test_pipeline or make_pipeline(model.cfg, from_array=from_array)
        samples += detect_batch(model, [prepare(picture, prompt, pipelines[from_array])])
    return samples if many else samples[0]


def check_prompts(model: nn.Module, prompts: Sequence[Prompt]) -> None:
    """Tokenize prompts, so that what is wrong with one shows before any slow work.

    Raises:
        PromptError: one cannot be looked for.
        TokenizerNotFoundError: there is no tokenizer.
    """
    for prompt in dict.fromkeys(prompts):
        model.chunk_prompt(prompt)


def make_pipeline(cfg: Config, *, from_array: bool) -> Compose:
    """Build the transforms of a config's ``test_pipeline`` for pictures without annotations.

    Args:
        cfg: the config.
        from_array: pictures are arrays rather than files.

    Raises:
        ConfigError: the config has no test pipeline, or one that cannot be built.
    """
    steps = find_test_pipeline(cfg)
    scope = cfg.get("default_scope", "glip")
    built = []
    with DefaultScope.overwrite_default_scope(scope):
        for step in steps:
            # A type may be a class, or a name with a scope before it.
            name = getattr(step["type"], "__name__", step["type"]).split(".")[-1]
            if name == "LoadAnnotations":
                continue
            step = dict(step)
            if name == "LoadImageFromFile" and from_array:
                step["type"] = "LoadImageFromNDArray"
            elif name == "PackDetInputs":
                step["meta_keys"] = tuple(dict.fromkeys((*step.get("meta_keys", ()), *_META_KEYS)))
            try:
                built.append(build_part(TRANSFORMS, step))
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigError(
                    f"the step {step['type']!r} of the test pipeline of {config_name(cfg)} cannot "
                    f"be built ({summarize(error)}): expected the steps of a GLIP, as in "
                    "configs/glip"
                ) from error
    return Compose(built)


def find_test_pipeline(cfg: Config) -> list[dict]:
    """Return a config's test pipeline.

    Raises:
        ConfigError: there is none.
    """
    if "test_pipeline" in cfg:
        return list(cfg.test_pipeline)
    dataset = (cfg.get("test_dataloader") or {}).get("dataset", {})
    while dataset and "pipeline" not in dataset:
        nested = dataset.get("datasets") or [dataset.get("dataset", {})]
        dataset = nested[0]
    if not dataset:
        raise ConfigError(
            f"{config_name(cfg)} has no test pipeline: expected `test_pipeline` or "
            "`test_dataloader.dataset.pipeline`"
        )
    return list(dataset["pipeline"])


def prepare(picture: Image, prompt: Prompt, pipeline: Compose) -> dict:
    """Run the transforms on a picture.

    Returns:
        ``inputs``, (3, H, W) of values 0...255, and ``data_samples``, with the prompt.

    Raises:
        ImageReadError: the picture cannot be read.
    """
    source = dict(img=picture) if isinstance(picture, np.ndarray) else dict(img_path=str(picture))
    return pipeline(dict(img_id=0, text=prompt, **source))


def detect_batch(model: nn.Module, items: Sequence[dict]) -> list[DetDataSample]:
    """Detect in prepared pictures, all at once."""
    batch = {
        "inputs": [item["inputs"] for item in items],
        "data_samples": [item["data_samples"] for item in items],
    }
    with torch.inference_mode():
        return model.test_step(batch)
