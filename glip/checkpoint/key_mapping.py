"""The names of every parameter in the three namings: ours, microsoft/GLIP's and MMDetection's.

Each row maps a key prefix; ``{i}`` and ``{j}`` stand for indices that stay the same.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

#: A naming of the parameters: ours, microsoft/GLIP's, MMDetection 3's.
Naming = Literal["glip", "official", "mmdet"]
#: Keys in our naming: the tokenizer's vocabulary and the learned prompt of prompt tuning.
VOCABULARY_KEY = "language_model._extra_state"
LEARNED_PROMPT_KEY = "language_model.prompt.weight"
#: Longer keys are no parameter's.
MAX_KEY_LENGTH = 300


class Row(NamedTuple):
    """The key prefix of one part of the model in the three namings."""

    glip: str
    official: str
    mmdet: str


_SWIN = [
    Row(
        f"backbone.stages.{{i}}.blocks.{{j}}.{ours}",
        f"backbone.body.layers.{{i}}.blocks.{{j}}.{ours}",
        f"backbone.stages.{{i}}.blocks.{{j}}.{theirs}",
    )
    for ours, theirs in (
        ("norm1", "norm1"),
        ("attn", "attn.w_msa"),
        ("norm2", "norm2"),
        ("mlp.fc1", "ffn.layers.0.0"),
        ("mlp.fc2", "ffn.layers.1"),
    )
]
_BACKBONE = [
    Row(
        "backbone.patch_embed.proj",
        "backbone.body.patch_embed.proj",
        "backbone.patch_embed.projection",
    ),
    Row("backbone.patch_embed.norm", "backbone.body.patch_embed.norm", "backbone.patch_embed.norm"),
    *_SWIN,
    Row(
        "backbone.stages.{i}.downsample",
        "backbone.body.layers.{i}.downsample",
        "backbone.stages.{i}.downsample",
    ),
    *(Row(f"backbone.norm{i}", f"backbone.body.norm{i}", f"backbone.norm{i}") for i in range(4)),
]
# The official FPN numbers its inputs by backbone stage, 1-based; the first is stage 2 (stride 8).
_NECK = [
    *(
        Row(
            f"neck.inner_blocks.{i}.0",
            f"backbone.fpn.fpn_inner{i + 2}",
            f"neck.lateral_convs.{i}.conv",
        )
        for i in range(3)
    ),
    *(
        Row(
            f"neck.layer_blocks.{i}.0", f"backbone.fpn.fpn_layer{i + 2}", f"neck.fpn_convs.{i}.conv"
        )
        for i in range(3)
    ),
    Row("neck.extra_blocks.p6", "backbone.fpn.top_blocks.p6", "neck.fpn_convs.3.conv"),
    Row("neck.extra_blocks.p7", "backbone.fpn.top_blocks.p7", "neck.fpn_convs.4.conv"),
]
_LANGUAGE = [
    Row(
        "language_model.bert",
        "language_backbone.body.model",
        "language_model.language_backbone.body.model",
    ),
    Row("language_model.prompt", "rpn.head.tunable_linear", "bbox_head.head.tunable_linear"),
]
_OUTPUTS = [
    *(
        Row(f"bbox_head.token_logits.{name}", f"rpn.head.{name}", f"bbox_head.head.{name}")
        for name in ("log_scale", "bias_lang", "bias0")
    ),
    Row(
        "bbox_head.token_logits.projection",
        "rpn.head.dot_product_projection_text",
        "bbox_head.head.dot_product_projection_text",
    ),
    *(
        Row(f"bbox_head.{name}", f"rpn.head.{name}", f"bbox_head.head.{name}")
        for name in ("bbox_pred", "centerness")
    ),
    Row("bbox_head.scales.{i}", "rpn.head.scales.{i}.scale", "bbox_head.head.scales.{i}.scale"),
]
_TEXT_LAYER = (
    ("query", "attention.self.query"),
    ("key", "attention.self.key"),
    ("value", "attention.self.value"),
    ("attention_output", "attention.output.dense"),
    ("attention_norm", "attention.output.LayerNorm"),
    ("intermediate", "intermediate.dense"),
    ("output", "output.dense"),
    ("output_norm", "output.LayerNorm"),
)
# The three convolutions of DyConv by the level of their input, with their official index.
_CONVS = (("coarser", 0), ("same", 1), ("finer", 2))


def _tower(num_blocks: int, fused: bool) -> list[Row]:
    """Return the rows of the fusion tower.

    In the other namings a block with fusion is three consecutive modules (fusion, text layer,
    DyConv), a block without fusion is one.
    """
    rows = []
    for block in range(num_blocks):
        ours = f"bbox_head.tower.blocks.{block}"
        first, last = (3 * block, 3 * block + 2) if fused else (block, block)
        parts = [(f"{ours}.fusion", f"{first}.b_attn")] if fused else []
        if fused:
            parts += [(f"{ours}.text_layer.{a}", f"{first + 1}.{b}") for a, b in _TEXT_LAYER]
        rows += [
            Row(a, f"rpn.head.dyhead_tower.{b}", f"bbox_head.head.dyhead_tower.{b}")
            for a, b in parts
        ]
        official = f"rpn.head.dyhead_tower.{last}"
        mmdet = f"bbox_head.head.dyhead_tower.{last}"
        for a, b in _CONVS:
            rows += [
                Row(
                    f"{ours}.dyconv.{a}.{x}",
                    f"{official}.DyConv.{b}.{y}",
                    f"{mmdet}.dyconvs.{b}.{y}",
                )
                for x, y in (("conv", "conv"), ("gn", "bn"))
            ]
        rows += [
            Row(f"{ours}.dyconv.scale_attention", f"{official}.AttnConv.1", f"{mmdet}.attnconv.1"),
            Row(f"{ours}.dyconv.relu", f"{official}.relu", f"{mmdet}.relu"),
            Row(f"{ours}.dyconv.offset", f"{official}.offset", f"{mmdet}.offset"),
        ]
    return rows


class KeyMapping:
    """Map parameter names from one naming to another.

    Args:
        source: the naming of the given keys.
        target: the naming of the returned keys.
        num_blocks: number of blocks of the fusion tower, or more.
        fused: whether the blocks have early fusion.
    """

    def __init__(self, source: Naming, target: Naming, *, num_blocks: int, fused: bool):
        rows = [*_BACKBONE, *_NECK, *_LANGUAGE, *_OUTPUTS, *_tower(num_blocks, fused)]
        self._exact: dict[str, str] = {}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for row in rows:
            before, after = getattr(row, source), getattr(row, target)
            if "{" in before:
                pattern = re.escape(before).replace(r"\{i\}", r"(?P<i>\d+)")
                pattern = pattern.replace(r"\{j\}", r"(?P<j>\d+)")
                self._patterns.append((re.compile(pattern + r"(?=\.|$)"), after))
            else:
                self._exact[before] = after

    def __call__(self, key: str) -> str | None:
        """Return ``key`` in the target naming, ``None`` if it is not a key of the model."""
        if len(key) > MAX_KEY_LENGTH:
            return None
        parts = key.split(".")
        for length in range(len(parts), 0, -1):
            after = self._exact.get(".".join(parts[:length]))
            if after is not None:
                return ".".join([after, *parts[length:]])
        for pattern, after in self._patterns:
            match = pattern.match(key)
            if match:
                return after.format(**match.groupdict()) + key[match.end() :]
        return None
