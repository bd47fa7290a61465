"""The image's part of the model in a form that exporters take: backbone, feature pyramid, tower.

The layers are the model's own; only the steps between them are written anew, without Python
branches on sizes, so that one graph serves all sizes. Padding to whole windows, the cyclic shift
and the partition are one gather by an index that is computed from the sizes.

Shapes: B images of H x W pixels, both multiples of 32; h x w the feature map of a stage with C
channels, which has W windows of M positions and heads of width d.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from glip.export.tower_graph import TowerGraph
from glip.models import GLIP
from glip.models.backbones.swin import SwinStage, SwinTransformer
from glip.models.backbones.swin_block import SHIFT_MASK, SwinBlock


class ImageGraph(nn.Module):
    """Images to the feature maps that do not depend on the text, as :meth:`GLIP.encode_image`.

    Args:
        model: the detector, in evaluation mode.
    """

    def __init__(self, model: GLIP):
        super().__init__()
        self.backbone = SwinGraph(cast(SwinTransformer, model.backbone))
        self.neck = model.neck
        tower = model.bbox_head.tower
        self.tower = None if tower.early_fuse else TowerGraph(tower)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute five feature maps (B, C, H_i, W_i), finest first, from (B, 3, H, W)."""
        levels = self.neck(self.backbone(image))
        return levels if self.tower is None else self.tower.forward_visual(levels)


class SwinGraph(nn.Module):
    """See :class:`~glip.models.backbones.swin.SwinTransformer`.

    Args:
        swin: the backbone.
    """

    def __init__(self, swin: SwinTransformer):
        super().__init__()
        self.swin = swin
        blocks = [block for stage in swin.stages for block in cast(SwinStage, stage).blocks]
        self.biases = nn.ParameterList(
            nn.Parameter(cast(SwinBlock, block).attn._get_rel_pos_bias().detach().clone(), False)
            for block in blocks
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Compute the feature maps of ``out_indices``, (B, C_i, H_i, W_i), from (B, 3, H, W)."""
        embed = self.swin.patch_embed
        x = embed.norm(embed.proj(image).permute(0, 2, 3, 1))
        biases = iter(self.biases)
        outputs = []
        for index, stage in enumerate(self.swin.stages):
            assert isinstance(stage, SwinStage)
            x = self._stage(stage, x, biases)
            if index in self.swin.out_indices:
                outputs.append(getattr(self.swin, f"norm{index}")(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                # Sides are even, as those of the image are multiples of 32. No slices of step 2:
                # OpenVINO 2026.4 takes a side after one for the side before it.
                batch, height, width, channels = x.shape
                pairs = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
                merged = pairs.permute(0, 1, 3, 4, 2, 5).reshape(
                    batch, height // 2, width // 2, 4 * channels
                )
                x = stage.downsample.reduction(stage.downsample.norm(merged))
        return outputs

    def _stage(self, stage: SwinStage, x: Tensor, biases: object) -> Tensor:
        batch, height, width, channels = x.shape
        rows = x.reshape(batch, height * width, channels)
        size = stage.window_size
        plain = window_index(height, width, size, 0)
        shifted = window_index(height, width, size, size // 2)
        mask = shift_mask(height, width, size)
        for block, bias in zip(stage.blocks, biases, strict=False):  # type: ignore[call-overload]
            gather, scatter = shifted if block.shift else plain
            own = bias[None] + mask[:, None] if block.shift else bias[None]  # (1 or W, h, M, M)
            zero = rows.new_zeros(1, 1, channels).expand(batch, 1, channels)
            # The padding follows the norm, so it is zeros; it takes part in attention, unmasked.
            windows = torch.cat([block.norm1(rows), zero], dim=1).index_select(1, gather)
            attended = self._attend(block, windows, own)
            rows = rows + attended.index_select(1, scatter)
            rows = rows + block.mlp(block.norm2(rows))
        return rows.reshape(batch, height, width, channels)

    def _attend(self, block: SwinBlock, windows: Tensor, bias: Tensor) -> Tensor:
        """Attend within windows, (B, W M, C) -> (B, W M, C)."""
        attn, positions = block.attn, block.window_size**2
        batch, total, channels = windows.shape
        qkv = attn.qkv(windows).reshape(
            batch, total // positions, positions, 3, attn.num_heads, channels // attn.num_heads
        )
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)  # (B, W, heads, M, d)
        logits = (query * attn.scale) @ key.transpose(-1, -2) + bias
        out = (logits.softmax(-1) @ value).transpose(2, 3).reshape(batch, total, channels)
        return attn.proj(out)


def window_index(height: int, width: int, size: int, shift: int) -> tuple[Tensor, Tensor]:
    """Return the indices that partition a feature map into windows and put it together again.

    Args:
        height, width: of the feature map.
        size: side of a window.
        shift: cyclic shift in positions.

    Returns:
        (W M,), the position of the feature map, row by row, of each position of each window, with
        height x width for padding; and (height width,), the inverse.
    """
    high, wide = _ceil_div(height, size), _ceil_div(width, size)  # windows
    rows = (torch.arange(high * size) + shift) % (high * size)
    cols = (torch.arange(wide * size) + shift) % (wide * size)
    inside = (rows < height)[:, None] & (cols < width)[None]
    index = torch.where(inside, rows[:, None] * width + cols[None], height * width)
    gather = index.reshape(high, size, wide, size).transpose(1, 2).reshape(-1)
    # Where position (row, col) went: its window, then its place in the window.
    rows = (torch.arange(height) + high * size - shift) % (high * size)
    cols = (torch.arange(width) + wide * size - shift) % (wide * size)
    window = (rows // size)[:, None] * wide + (cols // size)[None]
    place = (rows % size)[:, None] * size + (cols % size)[None]
    return gather, (window * size * size + place).reshape(-1)


def _ceil_div(count: int, size: int) -> int:
    """Return ceil(count / size); of positive numbers, as ONNX divides negative ones otherwise."""
    return (count + size - 1) // size


def shift_mask(height: int, width: int, size: int) -> Tensor:
    """Return (W, M, M): 0 within a region, -100 across; see ``make_shift_mask`` of Swin."""
    shift = size // 2
    high, wide = _ceil_div(height, size), _ceil_div(width, size)

    def bands(count: int) -> Tensor:
        at = torch.arange(count * size)
        return (at >= count * size - size).long() + (at >= count * size - shift).long()

    regions = bands(high)[:, None] * 3 + bands(wide)[None]
    regions = regions.reshape(high, size, wide, size).transpose(1, 2).reshape(-1, size * size)
    return torch.where(regions[:, None] == regions[:, :, None], 0.0, SHIFT_MASK)
