"""The fusion tower in a form that exporters take; see :mod:`glip.export.image_graph`.

Shapes: B images, level i of size H_i x W_i with C channels, N positions of all levels, T tokens of
D channels, h heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.models.fusion import BiAttentionBlock, DyConv, FusionTower
from glip.models.fusion.dyconv import DeformConvNorm
from glip.models.ops.blockwise_attention import CLAMP


class TowerGraph(nn.Module):
    """See :class:`~glip.models.fusion.FusionTower`.

    Args:
        tower: the fusion tower.
    """

    def __init__(self, tower: FusionTower):
        super().__init__()
        self.tower = tower

    def forward(
        self, levels: Sequence[Tensor], text: Tensor, mask: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Fuse feature maps (B, C, H_i, W_i) and text (B, T, D), mask (B, T) bool."""
        levels = list(levels)
        for block in self.tower.blocks:
            levels, text = fuse(cast(BiAttentionBlock, block.fusion), levels, text, mask)
            text = block.get_submodule("text_layer")(text, mask)
            levels = dyconv(cast(DyConv, block.dyconv), levels)
        return levels, text

    def forward_visual(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Compute the DyConvs alone, see :meth:`FusionTower.forward_visual`."""
        levels = list(levels)
        for block in self.tower.blocks:
            levels = dyconv(cast(DyConv, block.dyconv), levels)
        return levels


def fuse(
    block: BiAttentionBlock, levels: Sequence[Tensor], text: Tensor, mask: Tensor
) -> tuple[list[Tensor], Tensor]:
    """Compute a block of bi-directional attention, the projections of the image folded.

    See :func:`glip.models.ops.bi_attention.fused_bidirectional_attention`.
    """
    attn, heads = block.attn, block.attn.num_heads
    visual = block.layer_norm_v(torch.cat([x.flatten(2).transpose(1, 2) for x in levels], dim=1))
    text = block.layer_norm_l(text)
    batch, tokens, _ = text.shape
    embed = attn.v_proj.out_features
    width = embed // heads

    def split(x: Tensor) -> Tensor:
        return x.reshape(batch, tokens, heads, width).transpose(1, 2)  # (B, h, T, E/h)

    channels = visual.shape[-1]
    keys = split(attn.l_proj(text)) * width**-0.5
    offset = (keys * attn.v_proj.bias.reshape(heads, 1, width)).sum(-1)  # (B, h, T)
    keys = keys @ attn.v_proj.weight.reshape(heads, width, channels)  # (B, h, T, C)
    out_weight = attn.out_v_proj.weight.reshape(channels, heads, width).permute(1, 2, 0)
    values = split(attn.values_l_proj(text)) @ out_weight  # (B, h, T, C)
    folded = (batch, heads * tokens, channels)
    logits = keys.reshape(folded) @ visual.transpose(1, 2)  # (B, hT, N)
    logits = (logits + offset.reshape(batch, heads * tokens, 1)).clamp(-CLAMP, CLAMP)
    to_image = (logits - logits.amax(dim=2, keepdim=True)).clamp(min=-CLAMP).softmax(dim=2)
    text_out = (to_image @ visual).reshape(batch, heads, tokens, channels)
    per_head = logits.reshape(batch, heads, tokens, -1)
    lowest = torch.finfo(logits.dtype).min
    to_text = torch.where(mask[:, None, :, None], per_head, lowest).softmax(dim=2)
    to_text = to_text.reshape(batch, heads * tokens, -1)
    visual_out = to_text.transpose(1, 2) @ values.reshape(folded) + attn.out_v_proj.bias
    value_weight = attn.values_v_proj.weight.reshape(heads, width, channels)
    text_out = text_out @ value_weight.transpose(1, 2)
    text_out = text_out + attn.values_v_proj.bias.reshape(heads, 1, width)
    text_out = attn.out_l_proj(text_out.transpose(1, 2).reshape(batch, tokens, embed))
    visual = visual + block.gamma_v * visual_out
    text = text + block.gamma_l * text_out
    sizes = [level.shape[-2] * level.shape[-1] for level in levels]
    parts = visual.transpose(1, 2).split(sizes, dim=2)
    return [part.reshape(level.shape) for part, level in zip(parts, levels, strict=True)], text


def dyconv(block: DyConv, levels: Sequence[Tensor]) -> list[Tensor]:
    """Compute DyHead's block on all levels."""
    fused = []
    for index, level in enumerate(levels):
        offset_and_mask = block.offset(level)
        offset, mask = offset_and_mask[:, :18], offset_and_mask[:, 18:].sigmoid()
        outputs = [_deform(block.same, level, offset, mask)]
        if index > 0:
            outputs.append(_deform(block.finer, levels[index - 1], offset, mask))
        if index + 1 < len(levels):
            coarser = levels[index + 1]
            out = _deform(block.coarser, coarser, _reread(offset, coarser), _reread(mask, coarser))
            size = level.shape[-2:]
            outputs.append(F.interpolate(out, size=size, mode="bilinear", align_corners=True))
        weighted = [block._weight(x) / len(outputs) * x for x in outputs]
        total = weighted[0]
        for each in weighted[1:]:
            total = total + each
        fused.append(_dyrelu(block, total))
    return fused


def _dyrelu(block: DyConv, x: Tensor) -> Tensor:
    theta = block.relu.fc(x.mean((2, 3)))[..., None, None] - 0.5
    slope1, offset1, slope2, offset2 = theta.chunk(4, dim=1)
    return torch.maximum(offset1 + x * (2 * slope1 + 1), offset2 + x * (2 * slope2))


def _deform(conv: DeformConvNorm, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    weight, bias, stride, gn = conv.conv.weight, conv.conv.bias, conv.stride, conv.gn
    # The operators themselves: the functions around them branch on sizes.
    out = torch.ops.torchvision.deform_conv2d(
        x, weight, offset, mask, bias, stride, stride, 1, 1, 1, 1, 1, 1, True
    )
    return torch.group_norm(out, gn.num_groups, gn.weight, gn.bias, gn.eps)


def _reread(values: Tensor, level: Tensor) -> Tensor:
    """Read (B, k, h, w) with the smaller size of a level; see ``reinterpret_size``."""
    batch, channels = values.shape[:2]
    height, width = level.shape[-2:]
    first = values.flatten(1)[:, : channels * height * width]
    return first.reshape(batch, channels, height, width)
