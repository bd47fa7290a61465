"""The layers of Swin: patch embedding, window attention, feed-forward network, patch merging.

They are not timm's, because importing any of timm imports all of its models.

Shapes: B images, feature map H x W with C channels, windows of S x S = M positions, W windows of
all images, h heads of width C / h.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Embed non-overlapping patches of an image; its sides are padded to multiples of a patch.

    Args:
        in_channels: channels of the image.
        dim: C.
        patch_size: side of a patch in pixels, P.
        norm: whether a LayerNorm follows.
    """

    def __init__(self, in_channels: int, dim: int, *, patch_size: int, norm: bool):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(dim) if norm else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Embed: (B, 3, P H, P W) -> (B, H, W, C)."""
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % self.patch_size, 0, -height % self.patch_size))
        return self.norm(self.proj(images).permute(0, 2, 3, 1))


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned relative position bias.

    Args:
        dim: C.
        num_heads: h.
        window_size: S.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: scale of the attention logits; ``None`` for 1 / sqrt(C / h).
        attn_drop: dropout probability of the attention weights.
        proj_drop: dropout probability of the output projection.
    """

    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        window_size: int,
        qkv_bias: bool,
        qk_scale: float | None,
        attn_drop: float,
        proj_drop: float,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5 if qk_scale is None else qk_scale
        self.attn_drop = attn_drop
        self.relative_position_bias_table = nn.Parameter(
            torch.empty((2 * window_size - 1) ** 2, num_heads)
        )
        self.register_buffer(
            "relative_position_index", relative_position_index(window_size), persistent=False
        )
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise the bias table with std 0.02, truncated to [-2, 2], as the official code does.

        The inverse CDF gives the same values for a seed in every version of torch, unlike
        ``nn.init.trunc_normal_``, which changed its method.
        """
        table = self.relative_position_bias_table
        table.uniform_(-1, 1).erfinv_().mul_(0.02 * math.sqrt(2)).clamp_(-2, 2)

    def forward(self, windows: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within windows.

        Args:
            windows: (W, M, C).
            mask: added to the attention logits, (n, M, M) for window 0...n - 1, n...2n - 1, and so
                on.

        Returns:
            (W, M, C).
        """
        count, area, _ = windows.shape
        qkv = self.qkv(windows).reshape(count, area, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (W, h, M, C/h)
        bias = self.relative_position_bias_table[self.relative_position_index]  # (M, M, h)
        bias = bias.permute(2, 0, 1).contiguous()[None]
        if mask is not None:
            bias = bias + mask.repeat(count // len(mask), 1, 1)[:, None]  # (W, h, M, M)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.attn_drop if self.training else 0.0,
            scale=self.scale,
        )
        return self.proj_drop(self.proj(attended.transpose(1, 2).flatten(2)))


class Mlp(nn.Module):
    """Feed-forward network of two layers with GELU.

    Args:
        dim: C.
        hidden_dim: hidden width.
        drop: dropout probability after both layers.
    """

    def __init__(self, dim: int, hidden_dim: int, *, drop: float):
        super().__init__()
        self.hidden_dim = hidden_dim
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the network: (..., C) -> (..., C)."""
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


class PatchMerging(nn.Module):
    """Halve the resolution and double the channels by merging 2 x 2 neighbours.

    The neighbours are concatenated in the official order: (even row, even column), (odd, even),
    (even, odd), (odd, odd).

    Args:
        dim: C.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Merge: (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2C)."""
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        neighbours = [x[:, row::2, col::2] for col in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(neighbours, dim=-1)))


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """Split feature maps into windows: (B, H, W, C) -> (W, M, C), image by image, row by row."""
    x = x.unflatten(2, (-1, window_size)).unflatten(1, (-1, window_size))
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def window_reverse(windows: Tensor, window_size: int, height: int, width: int) -> Tensor:
    """Join windows: (W, M, C) -> (B, H, W, C), the inverse of :func:`window_partition`."""
    rows, cols = height // window_size, width // window_size
    x = windows.view(-1, rows, cols, window_size, window_size, windows.shape[-1])
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def relative_position_index(window_size: int) -> Tensor:
    """Return the row of the relative position bias table for each pair of positions, (M, M)."""
    axis = torch.arange(window_size)
    rows, cols = (each.flatten() for each in torch.meshgrid(axis, axis, indexing="ij"))
    down = rows[:, None] - rows + window_size - 1
    right = cols[:, None] - cols + window_size - 1
    return down * (2 * window_size - 1) + right
