"""Test-time augmentation of a config: its pipeline and the model that merges the views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from glip.apis.pipelines import find_test_pipeline, step_name
from glip.models import GLIP, DetTTAModel, TextFeatureCache
from glip.registry import MODELS, build_part
from glip.structures import DetDataSample
from glip.utils.config_entries import config_name
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.options import check_mapping

#: Scales of the default views, in parts of the config's own.
SCALES = (0.75, 1.0, 1.25)
_RESIZING = ("Resize", "FixScaleResize")


def find_tta_pipeline(cfg: Config) -> list[dict]:
    """Return a config's ``tta_pipeline``, without one :func:`default_tta_pipeline`.

    Raises:
        ConfigError: it does not end with ``TestTimeAug``, or there is no test pipeline either.
    """
    steps = cfg.get("tta_pipeline")
    if steps is None:
        return default_tta_pipeline(find_test_pipeline(cfg))
    is_list = isinstance(steps, Sequence) and not isinstance(steps, str) and len(steps) > 0
    if not is_list or not isinstance(steps[-1], Mapping) or step_name(steps[-1]) != "TestTimeAug":
        raise ConfigError(
            f"expected tta_pipeline of {config_name(cfg)} as a list of steps that ends with "
            f"dict(type='TestTimeAug', transforms=[...]), got {shorten(steps)}"
        )
    return list(steps)


def default_tta_pipeline(steps: Sequence[Mapping]) -> list[dict]:
    """Return the views of a test pipeline: :data:`SCALES`, each as it is and flipped horizontally.

    Args:
        steps: the test pipeline. The views begin with its resize; without one, or without a fixed
            scale, they differ by the flip only.

    Raises:
        ConfigError: a step is no dictionary with a type.
    """
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping) or not step.get("type"):
            raise ConfigError(
                f"expected test_pipeline.{index} as dict(type=...), got {shorten(step)}"
            )
    names = [step_name(step) for step in steps]
    if "TestTimeAug" in names:
        return [dict(step) for step in steps]
    flips = [dict(type="RandomFlip", prob=prob) for prob in (0.0, 1.0)]
    place = next((at for at, name in enumerate(names) if name in _RESIZING), None)
    if place is None:
        place, rest = len(steps) - 1, list(steps[-1:])
        groups: list[list[Any]] = [flips]
    else:
        rest = list(steps[place + 1 :])
        groups = [[_scaled(steps[place], factor) for factor in SCALES], flips]
    groups += [[step] for step in rest]
    return [*map(dict, steps[:place]), dict(type="TestTimeAug", transforms=groups)]


def tta_model_cfg(cfg: Config) -> dict:
    """Return a config's ``tta_model``; without one, the default.

    Raises:
        ConfigError: it is no dictionary.
    """
    given = check_mapping("tta_model", cfg.get("tta_model"), none=True)
    return dict(given) if given else dict(type="DetTTAModel")


def make_tta_model(cfg: Config, detector: GLIP) -> DetTTAModel:
    """Build the model that merges the views of a detector.

    Raises:
        ConfigError: ``tta_model`` is unknown or has an invalid option.
    """
    return build_part(MODELS, dict(tta_model_cfg(cfg), module=detector), "tta_model")


def apply_tta(cfg: Config) -> None:
    """Let the test data of a config have views, and its test loop merge them, in place.

    Each data set gets the config's ``tta_pipeline``, or the views of its own pipeline.

    Raises:
        ConfigError: a pipeline or ``tta_model`` cannot be used.
    """
    own = find_tta_pipeline(cfg) if cfg.get("tta_pipeline") is not None else None

    def update(dataset: Any) -> None:
        if not isinstance(dataset, dict):
            return
        if dataset.get("pipeline"):
            dataset["pipeline"] = own or default_tta_pipeline(dataset["pipeline"])
        update(dataset.get("dataset"))
        for each in dataset.get("datasets") or ():
            update(each)

    update(cfg.test_dataloader.get("dataset"))
    cfg.test_cfg.tta_model = tta_model_cfg(cfg)


def detect_views(
    items: Sequence[dict], model: DetTTAModel, text_cache: TextFeatureCache
) -> list[DetDataSample]:
    """Detect in images of a pipeline with ``TestTimeAug`` as one batch.

    Args:
        items: for each image ``inputs`` and ``data_samples``, lists of its views with prompts.
        model: merges the views.
        text_cache: of its detector.
    """
    with torch.inference_mode():
        return model.test_step(pseudo_collate(items), encode_prompt=text_cache.encode_prompt)


def _scaled(step: Mapping, factor: float) -> dict:
    """Return a resize to another scale."""
    scaled = dict(step)
    for key in ("scale", "scale_factor"):
        value = step.get(key)
        if value is None:
            continue
        sides = value if isinstance(value, Sequence) else (value,)
        new = [side * factor if key == "scale_factor" else round(side * factor) for side in sides]
        scaled[key] = tuple(new) if isinstance(value, Sequence) else new[0]
    return scaled
