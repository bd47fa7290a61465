"""Find out which model a checkpoint is, so that no config is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from glip.checkpoint.key_mapping import LEARNED_PROMPT_KEY
from glip.checkpoint.loading import open_checkpoint
from glip.checkpoint.report import fitting_configs
from glip.checkpoint.stored_config import stored_options
from glip.config import list_models, shipped_name
from glip.utils.errors import CheckpointError
from glip.weights import find_published

_BY_SHAPE = "the keys and shapes of the parameters"


@dataclass(frozen=True)
class ModelMatch:
    """The model of a checkpoint.

    Attributes:
        config: Name of the shipped config to use.
        reason: What it follows from.
        options: Values of the config to override, by dotted name.
        fits: Names of all shipped configs of this shape.
    """

    config: str
    reason: str
    options: dict[str, Any] = field(default_factory=dict)
    fits: tuple[str, ...] = ()

    @property
    def is_ambiguous(self) -> bool:
        """Whether other models have the same shape: GLIP-T (B), (C) and GLIP-T."""
        return self.reason == _BY_SHAPE and len(self.fits) > 1


def identify(source: str | Path, checkpoint: Mapping[str, Any] | None = None) -> ModelMatch:
    """Find the shipped config of a checkpoint, and what differs from it.

    The config is the one that the checkpoint names, or that of a published file of this name, or
    the first one that the keys and shapes fit. A learned prompt, and the settings of a checkpoint
    from training that shapes do not show (anchors, image size), are options.

    Args:
        source: file, URL or name of the weights.
        checkpoint: as :func:`~glip.checkpoint.loading.open_checkpoint` returns it, if it was
            opened before.

    Raises:
        CheckpointError: it cannot be read, or names and fits no shipped config.
    """
    checkpoint = checkpoint or open_checkpoint(source)
    state_dict: dict[str, Tensor] = checkpoint["state_dict"]
    meta = checkpoint["meta"]
    fits = fitting_configs(state_dict)
    named = shipped_name(meta.get("config"))
    published = find_published(Path(str(source)).name)
    if named:
        config, reason = named, "the checkpoint names it"
    elif published and _same_shape(published.config, fits):
        config, reason = published.config, "the name of the file"
    elif fits:
        config, reason = fits[0], _BY_SHAPE
    else:
        raise CheckpointError(
            f"the checkpoint {source} names no shipped config, and its parameters have the shapes "
            "of none: pass the config that it was trained with"
        )
    options = stored_options(meta)
    if LEARNED_PROMPT_KEY in state_dict:
        options["model.language_model.learned_prompt"] = len(state_dict[LEARNED_PROMPT_KEY])
    return ModelMatch(config, reason, options, fits)


def _same_shape(config: str, fits: tuple[str, ...]) -> bool:
    """Return whether a config, or the pre-trained one that it fine-tunes, is among others."""
    alias = list_models()[config]["Alias"].removesuffix(", fine-tuned on COCO")
    return any(list_models().get(each, {}).get("Alias") == alias for each in fits)
