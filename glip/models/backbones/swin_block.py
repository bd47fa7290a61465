"""A block of the Swin Transformer: attention within windows, and a feed-forward network.

The layers are timm's. The block is not, because timm shifts the windows before it pads the feature
map. Detection Swin pads first, which gives other values wherever a side is not divisible by the
window size.

Shapes: B images, H x W the feature map of a stage, C its channels, M positions of a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from timm.layers import DropPath, Mlp
from timm.models.swin_transformer import WindowAttention, window_partition, window_reverse
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip.utils.precision import is_autocast_enabled

#: Added to the attention logits of positions that only the cyclic shift made neighbours (official).
SHIFT_MASK = -100.0

#: Before torch 2.4, autocast does not cast the mask of scaled_dot_product_attention.
_AUTOCAST_CASTS_MASKS = digit_version(torch.__version__) >= digit_version("2.4")

#: Values that a layer computes at a time on a CPU without gradients: 4 MB in float32, which stay in
#: the CPU's cache. The first stage has twenty times as many.
_CHUNK_NUMEL = 2**20

#: The activations of feature maps with more values than this are recomputed in the backward pass:
#: those of the first three stages for two images of 480 x 640 pixels. The block of a smaller map
#: saves less than 40 MB.
_MIN_CHECKPOINT_NUMEL = 2**19


class SwinBlock(nn.Module):
    """Window attention and a feed-forward network, each after a LayerNorm and with a residual.

    Args:
        dim: C.
        num_heads: number of attention heads.
        window_size: side of a window in positions, sqrt(M).
        shift: cyclic shift of the windows in positions, 0 or half a window.
        mlp_ratio: hidden width of the feed-forward network divided by C.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: scale of the attention logits; ``None`` for 1 / sqrt(C / heads).
        drop: dropout probability of the projections.
        attn_drop: dropout probability of the attention weights.
        drop_path: drop probability of a residual branch (stochastic depth).
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        window_size: int,
        shift: int,
        mlp_ratio: float,
        qkv_bias: bool,
        qk_scale: float | None,
        drop: float,
        attn_drop: float,
        drop_path: float,
    ):
        super().__init__()
        self.window_size = window_size
        self.shift = shift
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(
            dim,
            num_heads,
            window_size=window_size,
            qkv_bias=qkv_bias,
            attn_drop=attn_drop,
            proj_drop=drop,
        )
        if qk_scale is not None:
            self.attn.scale = qk_scale
        # torch's fused attention, whose scale is 1 / sqrt(C / heads); timm disables it for Swin.
        self.attn.fused_attn = qk_scale is None  # type: ignore[misc]
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim)
        self.hidden_dim = int(dim * mlp_ratio)
        self.mlp = Mlp(dim, self.hidden_dim, drop=drop)

    def forward(self, x: Tensor, shift_mask: Tensor) -> Tensor:
        """Compute the block.

        Args:
            x: (B, H, W, C).
            shift_mask: see :func:`make_shift_mask`.

        Returns:
            (B, H, W, C).
        """
        if torch.is_grad_enabled() and x.numel() > _MIN_CHECKPOINT_NUMEL:
            # Activation checkpointing: the intermediate activations would be most of the memory
            # that the backbone saves for the backward pass, and recomputing them is cheap.
            attended = checkpoint(self._attend, x, shift_mask, use_reentrant=False)
            x = x + self.drop_path(attended)
            return x + self.drop_path(checkpoint(self._feed_forward, x, use_reentrant=False))
        x = x + self.drop_path(self._attend(x, shift_mask))
        if not _in_chunks(x) or self.training:
            return x + self.drop_path(self._feed_forward(x))
        rows = x.flatten(0, 2)
        for chunk in rows.split(max(_CHUNK_NUMEL // self.hidden_dim, 1)):
            chunk += self._feed_forward(chunk)
        return rows.view_as(x)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """Normalise and apply the feed-forward network: (..., C) -> (..., C)."""
        return self.mlp(self.norm2(x))

    def _attend(self, x: Tensor, shift_mask: Tensor) -> Tensor:
        """Normalise and attend within (shifted) windows: (B, H, W, C) -> (B, H, W, C)."""
        height, width = x.shape[1:3]
        window = (self.window_size, self.window_size)
        # The padding follows the norm, so it is zeros; it takes part in attention, unmasked.
        padding = (0, 0, 0, -width % self.window_size, 0, -height % self.window_size)
        x = F.pad(self.norm1(x), padding)
        batch, *padded, channels = x.shape
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), dims=(1, 2))
        x = window_partition(x, window).view(-1, self.window_size**2, channels)
        x = self._attend_windows(x, shift_mask if self.shift else None)
        x = window_reverse(x.view(-1, *window, channels), window, *padded)
        x = x.view(batch, *padded, channels)
        if self.shift:
            x = torch.roll(x, (self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]

    def _attend_windows(self, windows: Tensor, shift_mask: Tensor | None) -> Tensor:
        """Attend within the windows of B images, (., M, C); the mask is that of one image."""
        if not _in_chunks(windows):
            return self._attend_chunk(windows, shift_mask)
        chunk_size = max(_CHUNK_NUMEL // (3 * windows[0].numel()), 1)  # queries, keys and values
        for indices in torch.arange(len(windows)).split(chunk_size):
            mask = None if shift_mask is None else shift_mask[indices % len(shift_mask)]
            chunk = windows[indices[0] : indices[-1] + 1]
            chunk.copy_(self._attend_chunk(chunk, mask))
        return windows

    def _attend_chunk(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within some windows: (., M, C) -> (., M, C)."""
        if _AUTOCAST_CASTS_MASKS or not is_autocast_enabled(windows.device.type):
            return self.attn(windows, mask=mask)
        with torch.autocast(windows.device.type, enabled=False):
            return self.attn(windows.float(), mask=mask)


def _in_chunks(x: Tensor) -> bool:
    """Return whether a layer processes its input in chunks; a GPU is faster with all of it."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def make_shift_mask(height: int, width: int, window_size: int, device: torch.device) -> Tensor:
    """Build the attention mask of shifted windows for a feature map.

    After the cyclic shift some windows contain regions of opposite borders; the mask suppresses
    attention between different regions.

    Args:
        height: H.
        width: W.
        window_size: side of a window in positions.
        device: of the mask.

    Returns:
        (windows, M, M) with M = ``window_size`` squared: 0 within a region, -100 across.
    """
    shift = window_size // 2
    height += -height % window_size
    width += -width % window_size
    bands = (slice(0, -window_size), slice(-window_size, -shift), slice(-shift, None))
    regions = torch.zeros(1, height, width, 1, dtype=torch.uint8, device=device)
    for index, (rows, cols) in enumerate((r, c) for r in bands for c in bands):
        regions[:, rows, cols] = index
    regions = window_partition(regions, (window_size, window_size)).view(-1, window_size**2)
    return torch.where(regions[:, None] == regions[:, :, None], 0.0, SHIFT_MASK)
