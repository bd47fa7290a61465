"""Detect the naming of a state dict (ours, microsoft/GLIP's or MMDetection's) and convert it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from glip.checkpoint.key_mapping import MAX_KEY_LENGTH, VOCABULARY_KEY, KeyMapping, Naming
from glip.utils.errors import CheckpointError, shorten

#: Keys that the model does not need, with the reason.
_IGNORED = (
    (r"\.relative_position_index$", "computed from the window size"),
    (r"\.attn_mask$", "computed from the image size"),
    (r"\.position_ids$", "counts 0, 1, 2, ..."),
    (r"\.pooler\.", "GLIP does not use BERT's pooler"),
    (r"resizer", "unused by the released models"),
    (r"\.cls_logits\.", "80 fixed classes, never trained"),
    (r"\.cell_anchors\.", "computed from the strides"),
    (r"\.mlm_head\.", "masked language modelling, used in pre-training only"),
    (r"\.shallow_", "contrastive loss, used in pre-training only"),
    (r"^data_preprocessor\.", "mean and std are in the config"),
)
#: Keys under which a checkpoint file holds its state dict: mmengine's, then microsoft/GLIP's.
CONTAINERS = ("state_dict", "model")
#: A key prefix that only one naming has.
_PREFIXES: tuple[tuple[str, Naming], ...] = (
    ("rpn.head.", "official"),
    ("bbox_head.head.", "mmdet"),
    ("bbox_head.tower.", "glip"),
)
#: Most numbers that a conversion reorders; GLIP-L has 6.2 million.
_MAX_COPIED = 1 << 26
_TOWER_INDEX = r"(?:dyhead_tower|tower\.blocks)\.([0-9]{1,9})\."


@dataclass
class Conversion:
    """A converted state dict and what happened to each key.

    Attributes:
        source: the naming before the conversion.
        state_dict: the tensors under their new names.
        ignored: keys that were dropped, with the reason.
        unexpected: unknown keys.
    """

    source: Naming
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)


def find_state_dict(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, without its containers and the ``module.`` prefix.

    Raises:
        CheckpointError: the checkpoint has no tensors, a tensor whose key is no text, or a key with
            and without ``module.``.
    """
    for container in CONTAINERS:
        if isinstance(checkpoint.get(container), Mapping):
            checkpoint = checkpoint[container]
    other = [key for key, value in checkpoint.items() if isinstance(value, Tensor)]
    other = [key for key in other if not isinstance(key, str)]
    if other:
        raise CheckpointError(
            f"the file holds {len(other)} tensors whose keys are not texts, for example "
            f"{shorten(repr(other[0]))}: expected the names of parameters. Save model.state_dict()"
        )
    tensors: dict[str, Tensor] = {}
    for key, value in checkpoint.items():
        if isinstance(key, str) and isinstance(value, Tensor):
            name = key.removeprefix("module.")
            if name in tensors:
                raise CheckpointError(
                    f"the file holds both {shorten(name)} and module.{shorten(name)}: expected one "
                    "of them. Save the state dict of one model"
                )
            tensors[name] = value
    if not tensors:
        raise CheckpointError(
            "the file holds no parameters: expected a state dict, alone or under 'state_dict' or "
            f"'model', got the keys {_preview(checkpoint)}"
        )
    return tensors


def detect_naming(keys: Mapping[str, object]) -> Naming | None:
    """Return the naming of a state dict's keys, ``None`` if it is not a GLIP model's."""
    for prefix, naming in _PREFIXES:
        if any(key.startswith(prefix) for key in keys):
            return naming
    return None


def convert(state_dict: Mapping[str, Tensor], target: Naming = "glip") -> Conversion:
    """Convert a state dict to another naming.

    Args:
        state_dict: as :func:`find_state_dict` returns it; its naming is detected.
        target: the naming to convert to.

    Raises:
        CheckpointError: the keys have none of the three namings, or two of them are the same
            parameter.
    """
    source = detect_naming(state_dict)
    if source is None:
        raise CheckpointError(
            "not a GLIP checkpoint: expected the keys of microsoft/GLIP ('rpn.head...'), of "
            "MMDetection's GLIP ('bbox_head.head...') or of this library ('bbox_head.tower...'), "
            f"got {_preview(state_dict)}"
        )
    fusion = ".fusion." if source == "glip" else ".b_attn."
    # A block has several keys, so an index above their number is no block of a model.
    indices = [
        int(index)
        for key in state_dict
        for index in re.findall(_TOWER_INDEX, key[:MAX_KEY_LENGTH])
        if int(index) < len(state_dict)
    ]
    rename = KeyMapping(
        source,
        target,
        num_blocks=max(indices, default=0) + 1,
        fused=any(fusion in key for key in state_dict),
    )
    result = Conversion(source)
    copied = 0
    for key, value in state_dict.items():
        reason = _reason_to_ignore(key, value)
        name = rename(key)
        if key == VOCABULARY_KEY:
            result.state_dict[key] = value
        elif reason:
            result.ignored[key] = reason
        elif name is None:
            result.unexpected.append(key)
        elif name in result.state_dict:
            raise CheckpointError(
                f"two keys are the parameter {shorten(name)}, one of them {shorten(key)}"
            )
        else:
            result.state_dict[name] = _convert_value(key, value, source, target)
            if result.state_dict[name] is not value:
                copied += value.numel()
            if copied > _MAX_COPIED:  # overlapping tensors can be larger than their file
                raise CheckpointError(
                    f"the weights of patch merging ({shorten(key)}) are too large"
                )
    return result


def convert_in_place(state_dict: dict, prefix: str, *_: object) -> None:
    """Convert a state dict to our naming in place.

    The detector registers this function as its ``load_state_dict`` pre-hook. Unknown keys stay, so
    that loading reports them. A state dict without a vocabulary gets an empty one.

    Args:
        state_dict: the state dict, or a checkpoint with its containers.
        prefix: the prefix of the detector's keys, if it is part of a larger module.
    """
    own = {key: value for key, value in state_dict.items() if key.startswith(prefix)}
    try:
        tensors = find_state_dict({key[len(prefix) :]: value for key, value in own.items()})
    except CheckpointError:
        return
    if detect_naming(tensors):
        result = convert(tensors)
        for key in own:
            del state_dict[key]
        unknown = {key: tensors[key] for key in result.unexpected}
        state_dict.update(
            {prefix + key: value for key, value in (result.state_dict | unknown).items()}
        )
    state_dict.setdefault(prefix + VOCABULARY_KEY, torch.empty(0, dtype=torch.uint8))


def _reason_to_ignore(key: str, value: Tensor) -> str | None:
    if key.endswith("tunable_linear.weight") and value.is_floating_point() and not value.any():
        return "an untrained learned prompt: all zeros"
    for pattern, reason in _IGNORED:
        if re.search(pattern, key):
            return reason
    return None


def _convert_value(key: str, value: Tensor, source: Naming, target: Naming) -> Tensor:
    if ".scales." in key and value.numel() == 1:
        return value.reshape(() if target == "mmdet" else (1,))
    fits = value.dim() and value.shape[-1] % 4 == 0  # if not, the comparison reports it
    if ".downsample." in key and fits and (source == "mmdet") != (target == "mmdet"):
        return _reorder_neighbours(value, to_mmdet=target == "mmdet")
    return value


def _reorder_neighbours(value: Tensor, *, to_mmdet: bool) -> Tensor:
    """Reorder the 4C inputs of patch merging.

    Our order and the official one is neighbour by neighbour, column first: (0, 0), (1, 0), (0, 1),
    (1, 1), each with its C channels. MMDetection's is that of ``unfold``: channel by channel, each
    with its neighbours row first: (0, 0), (0, 1), (1, 0), (1, 1).

    Args:
        value: (..., 4C).
        to_mmdet: whether to convert to MMDetection's order or from it.
    """
    row_first = [0, 2, 1, 3]  # its own inverse
    if to_mmdet:
        parts = value.unflatten(-1, (4, -1))[..., row_first, :]  # (..., 4, C)
    else:
        parts = value.unflatten(-1, (-1, 4))[..., row_first]  # (..., C, 4)
    return parts.transpose(-1, -2).flatten(-2).contiguous()


def _preview(keys: Mapping) -> str:
    names = [shorten(str(key)) for key in keys]
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
