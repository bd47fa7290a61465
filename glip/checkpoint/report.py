"""Compare a checkpoint with a model, key by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from glip.checkpoint.formats import Conversion
from glip.checkpoint.key_mapping import LEARNED_PROMPT_KEY, VOCABULARY_KEY
from glip.utils.errors import shorten


class HasShape(Protocol):
    """A tensor, or any object with a shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""


#: The shipped configs by Swin's width, early fusion and the number of tower blocks.
_CONFIGS = {
    (96, False, 6): ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",),
    (96, True, 6): (
        "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
        "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg",
        "glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub",
    ),
    (32, False, 1): ("glip_nano_shapes",),
    (192, True, 8): ("glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata",),
}
#: Keys that a checkpoint may lack: the vocabulary can come from ``lang_model_name``, and a learned
#: prompt is initialised to zero.
OPTIONAL_KEYS = (VOCABULARY_KEY, LEARNED_PROMPT_KEY)
#: How many keys of each kind a report prints.
_MAX_KEYS = 8


@dataclass
class KeyReport:
    """How a checkpoint's keys compare with a model's.

    Attributes:
        source: the naming of the checkpoint.
        converted: number of keys that the checkpoint and the model share.
        ignored: keys that were dropped, with the reason.
        missing: parameters of the model that the checkpoint lacks.
        unexpected: keys of the checkpoint that the model lacks.
        mismatched: for parameters of different shapes, the expected and the given shape.
        fits: names of the shipped configs that the checkpoint fits by its shapes.
    """

    source: str
    converted: int
    ignored: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    fits: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no key is missing, unexpected or of another shape."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        reasons = Counter(self.ignored.values())
        lines = [f"naming: {self.source}", f"converted: {self.converted}"]
        lines.append(f"ignored: {len(self.ignored)}")
        lines += [f"  {count} x {reason}" for reason, count in sorted(reasons.items())]
        for title, keys in (("missing", self.missing), ("unexpected", self.unexpected)):
            lines.append(f"{title}: {len(keys)}")
            lines += [f"  {shorten(key)}" for key in keys[:_MAX_KEYS]]
            if len(keys) > _MAX_KEYS:
                lines.append(f"  ... and {len(keys) - _MAX_KEYS} more")
        if self.mismatched:
            lines.append(f"shape mismatch: {len(self.mismatched)}")
            for key, (expected, given) in list(self.mismatched.items())[:_MAX_KEYS]:
                lines.append(f"  {shorten(key)}: expected {expected}, got {given}")
        return "\n".join(lines)


def compare(conversion: Conversion, expected: Mapping[str, HasShape]) -> KeyReport:
    """Compare a converted checkpoint with the state dict of a model.

    Args:
        conversion: a checkpoint in our naming.
        expected: the model's state dict; only its shapes are used.
    """
    given = conversion.state_dict
    return KeyReport(
        source=conversion.source,
        converted=len(given.keys() & expected.keys()),
        ignored=conversion.ignored,
        missing=[key for key in expected if key not in given and key not in OPTIONAL_KEYS],
        unexpected=[
            *conversion.unexpected,
            *(key for key in given if key not in expected and key != VOCABULARY_KEY),
        ],
        mismatched={
            key: (tuple(expected[key].shape), tuple(value.shape))
            for key, value in given.items()
            if key in expected
            and key != VOCABULARY_KEY
            and tuple(expected[key].shape) != tuple(value.shape)
        },
        fits=fitting_configs(given),
    )


def fitting_configs(state_dict: Mapping[str, HasShape]) -> tuple[str, ...]:
    """Return the names of the shipped configs that a state dict in our naming fits, if any."""
    patches = state_dict.get("backbone.patch_embed.proj.weight")
    if patches is None:
        return ()
    blocks = {key.split(".")[3] for key in state_dict if key.startswith("bbox_head.tower.blocks.")}
    fused = any(".fusion." in key for key in state_dict)
    return _CONFIGS.get((patches.shape[0], fused, len(blocks)), ())
