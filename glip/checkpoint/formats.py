"""Recognising whose names a state dict has, and turning it into ours or theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glip.checkpoint.key_mapping import NameMap, Naming
from glip.utils.errors import CheckpointError

#: Keys that carry nothing the model needs, and why.
_IGNORED = (
    (r"\.relative_position_index$", "computed from the window size"),
    (r"\.attn_mask$", "computed from the image size"),
    (r"\.position_ids$", "counts 0, 1, 2, ..."),
    (r"\.pooler\.", "GLIP uses no pooled text"),
    (r"resizer", "unused by the released models"),
    (r"\.cls_logits\.", "80 fixed classes, never trained"),
    (r"\.cell_anchors\.", "computed from the strides"),
    (r"\.mlm_head\.", "masked language modelling, used in pre-training only"),
    (r"\.shallow_", "contrastive loss, used in pre-training only"),
    (r"^data_preprocessor\.", "mean and deviation stand in the config"),
)
#: Where the state dict stands in a checkpoint file, by who wrote it.
CONTAINERS = ("state_dict", "model")
_EXTRA_STATE = "language_model._extra_state"


@dataclass
class Conversion:
    """A state dict under new names, and what became of every key.

    Attributes:
        source: the naming it had.
        state_dict: the tensors under their new names.
        ignored: keys left out, with the reason.
        unexpected: keys that nobody knows.
    """

    source: Naming
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)


def find_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint without its containers and without ``module.``.

    Raises:
        CheckpointError: there are no tensors.
    """
    for container in CONTAINERS:
        if isinstance(checkpoint.get(container), Mapping):
            checkpoint = checkpoint[container]
    tensors = {
        key.removeprefix("module."): value
        for key, value in checkpoint.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise CheckpointError(
            "the file holds no parameters: expected a state dict, alone or under 'state_dict' or "
            f"'model', got the keys {_some(checkpoint)}"
        )
    return tensors


def recognise(keys: Mapping[str, object]) -> Naming | None:
    """Tell whose names these are; ``None`` if they are no detector's of this family."""
    for prefix, naming in _MARKS:
        if any(key.startswith(prefix) for key in keys):
            return naming
    return None


_MARKS: tuple[tuple[str, Naming], ...] = (
    ("rpn.head.", "official"),
    ("bbox_head.head.", "mmdet"),
    ("bbox_head.tower.", "glip"),
)


def convert(state_dict: Mapping[str, Tensor], target: Naming = "glip") -> Conversion:
    """Rename a state dict.

    Args:
        state_dict: as :func:`find_state_dict` returns it; its naming is recognised.
        target: whose names to give.

    Raises:
        CheckpointError: the names are nobody's, so this is no checkpoint of GLIP.
    """
    source = recognise(state_dict)
    if source is None:
        raise CheckpointError(
            "not a GLIP checkpoint: expected the keys of microsoft/GLIP ('rpn.head...'), of "
            "MMDetection's GLIP ('bbox_head.head...') or of this library ('bbox_head.tower...'), "
            f"got {_some(state_dict)}"
        )
    if source == "glip":
        fused = any(".fusion." in key for key in state_dict)
    else:
        fused = any(".b_attn." in key for key in state_dict)
    numbers = [int(number) for key in state_dict for number in re.findall(_TOWER_INDEX, key)]
    rename = NameMap(source, target, num_blocks=max(numbers, default=0) + 1, fused=fused)
    result = Conversion(source)
    for key, value in state_dict.items():
        reason = _reason_to_ignore(key, value)
        name = rename(key)
        if key == _EXTRA_STATE:
            result.state_dict[key] = value
        elif reason:
            result.ignored[key] = reason
        elif name is None:
            result.unexpected.append(key)
        else:
            result.state_dict[name] = _convert_value(key, value, source, target)
    return result


_TOWER_INDEX = r"(?:dyhead_tower|tower\.blocks)\.(\d+)\."


def convert_in_place(state_dict: dict, prefix: str, *_: object) -> None:
    """Bring a state dict to our names: the detector's hook before anything is loaded into it.

    Keys that are nobody's stay, so that loading reports them. A checkpoint without a vocabulary
    gets an empty one.

    Args:
        state_dict: changed in place; may be a whole checkpoint with its containers.
        prefix: of the detector's keys, if it is part of a larger module.
    """
    own = {key: value for key, value in state_dict.items() if key.startswith(prefix)}
    try:
        tensors = find_state_dict({key[len(prefix) :]: value for key, value in own.items()})
    except CheckpointError:
        return
    if recognise(tensors):
        result = convert(tensors)
        for key in own:
            del state_dict[key]
        left = {key: tensors[key] for key in result.unexpected}
        state_dict.update(
            {prefix + key: value for key, value in (result.state_dict | left).items()}
        )
    state_dict.setdefault(prefix + _EXTRA_STATE, torch.empty(0, dtype=torch.uint8))


def _reason_to_ignore(key: str, value: Tensor) -> str | None:
    if key.endswith("tunable_linear.weight") and not value.any():
        return "a learned prompt that was never learned: all zeros"
    for pattern, reason in _IGNORED:
        if re.search(pattern, key):
            return reason
    return None


def _convert_value(key: str, value: Tensor, source: Naming, target: Naming) -> Tensor:
    if ".scales." in key:
        return value.reshape(() if target == "mmdet" else (1,))
    if ".downsample." in key and (source == "mmdet") != (target == "mmdet"):
        return _reorder_neighbours(value, to_mmdet=target == "mmdet")
    return value


def _reorder_neighbours(value: Tensor, *, to_mmdet: bool) -> Tensor:
    """Reorder the 4C inputs of patch merging.

    Ours and the official order is neighbour by neighbour, column first: (0, 0), (1, 0), (0, 1),
    (1, 1), each with its C channels. MMDetection's is ``unfold``'s: channel by channel, each with
    its neighbours row first: (0, 0), (0, 1), (1, 0), (1, 1).

    Args:
        value: (..., 4C).
        to_mmdet: direction.
    """
    row_first = [0, 2, 1, 3]  # its own inverse
    if to_mmdet:
        parts = value.unflatten(-1, (4, -1))[..., row_first, :]  # (..., 4, C)
    else:
        parts = value.unflatten(-1, (-1, 4))[..., row_first]  # (..., C, 4)
    return parts.transpose(-1, -2).flatten(-2).contiguous()


def _some(keys: Mapping) -> str:
    names = [str(key) for key in keys]
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
