"""Whether a checkpoint fits a model, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from glip.checkpoint.formats import Conversion


class HasShape(Protocol):
    """A tensor, or anything else that has a shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its sides."""


#: Config names by what tells the five models apart: width of Swin, fusion, blocks of the tower.
_CONFIGS = {
    (96, False, 6): ("glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",),
    (96, True, 6): (
        "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
        "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg",
        "glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub",
    ),
    (192, True, 8): ("glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata",),
}
_VOCABULARY = "language_model._extra_state"
#: What may be absent: the vocabulary, which can come from ``lang_model_name``, and a learned
#: prompt, which starts at zero.
OPTIONAL = (_VOCABULARY, "language_model.prompt.weight")


@dataclass
class KeyReport:
    """What became of a checkpoint's keys.

    Attributes:
        source: whose names the checkpoint has.
        converted: number of tensors that were taken over.
        ignored: keys left out, with the reason.
        missing: parameters of the model that the checkpoint does not give.
        unexpected: keys that nobody knows.
        mismatched: parameters of another shape: expected and given.
        fits: names of the shipped configs that the checkpoint fits by its shape.
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
        """Whether the checkpoint gives the model exactly what it needs."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        reasons: dict[str, int] = {}
        for reason in self.ignored.values():
            reasons[reason] = reasons.get(reason, 0) + 1
        lines = [f"names of: {self.source}", f"converted: {self.converted}"]
        lines.append(f"ignored: {len(self.ignored)}")
        lines += [f"  {count} x {reason}" for reason, count in sorted(reasons.items())]
        for title, keys in (("missing", self.missing), ("unexpected", self.unexpected)):
            lines.append(f"{title}: {len(keys)}")
            lines += [f"  {key}" for key in keys[:8]]
            lines += [f"  ... and {len(keys) - 8} more"] if len(keys) > 8 else []
        if self.mismatched:
            lines.append(f"of another shape: {len(self.mismatched)}")
            for key, (expected, given) in list(self.mismatched.items())[:8]:
                lines.append(f"  {key}: expected {expected}, got {given}")
        return "\n".join(lines)


def compare(conversion: Conversion, expected: Mapping[str, HasShape]) -> KeyReport:
    """Compare a converted checkpoint with the state dict of a model.

    Args:
        conversion: a checkpoint under our names.
        expected: the model's state dict; only its shapes are used.
    """
    given = conversion.state_dict
    return KeyReport(
        source=conversion.source,
        converted=len(given.keys() & expected.keys()),
        ignored=conversion.ignored,
        missing=[key for key in expected if key not in given and key not in OPTIONAL],
        unexpected=[
            *conversion.unexpected,
            *(key for key in given if key not in expected and key != _VOCABULARY),
        ],
        mismatched={
            key: (tuple(expected[key].shape), tuple(value.shape))
            for key, value in given.items()
            if key in expected
            and key != _VOCABULARY
            and tuple(expected[key].shape) != tuple(value.shape)
        },
        fits=fitting_configs(given),
    )


def fitting_configs(state_dict: Mapping[str, HasShape]) -> tuple[str, ...]:
    """Name the shipped configs that a state dict (our names) fits; none if it is another model."""
    patches = state_dict.get("backbone.patch_embed.proj.weight")
    if patches is None:
        return ()
    blocks = {key.split(".")[3] for key in state_dict if key.startswith("bbox_head.tower.blocks.")}
    fused = any(".fusion." in key for key in state_dict)
    return _CONFIGS.get((patches.shape[0], fused, len(blocks)), ())
