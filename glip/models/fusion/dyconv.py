"""DyHead's block: convolutions that see their level, the finer and the coarser one.

Dai et al., "Dynamic Head", CVPR 2021; the activation is DyReLU-B of Chen et al., ECCV 2020.
Shapes: B images, level i of size H_i x W_i with C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip.models.ops.deform_conv import modulated_deform_conv

#: Maps with more values than this are made again for the backward pass: the finest level's for two
#: pictures of 480 x 640 pixels. For smaller ones it takes longer than it is worth.
_MIN_CHECKPOINT_NUMEL = 2**20


class DyReLU(nn.Module):
    """The larger of two lines per channel, whose slopes and intercepts follow the whole map.

    max(a1 x + b1, a2 x + b2), with theta in [0, 1] from the pooled map: a1 = 2 (theta - 0.5) + 1,
    a2 = 2 (theta - 0.5), b1 and b2 = theta - 0.5 (official ranges).

    Args:
        channels: C.
        reduction: C over the hidden width of the small network (official: 4).
    """

    def __init__(self, channels: int, reduction: int = 4):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, 4 * channels),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        theta = self.fc(x.mean((2, 3)))[..., None, None] - 0.5
        slope1, offset1, slope2, offset2 = theta.chunk(4, dim=1)
        line1 = torch.addcmul(offset1, x, 2 * slope1 + 1)
        line2 = torch.addcmul(offset2, x, 2 * slope2)
        return torch.maximum(line1, line2)


class DeformConvNorm(nn.Module):
    """A 3x3 modulated deformable convolution with bias, and the GroupNorm that follows it.

    Args:
        channels: C.
        stride: of the convolution.
        num_groups: of the GroupNorm (official: 16).
    """

    def __init__(self, channels: int, *, stride: int, num_groups: int = 16):
        super().__init__()
        self.stride = stride
        # Holds the weights; the offsets make it a deformable one.
        self.conv = nn.Conv2d(channels, channels, 3)
        self.gn = nn.GroupNorm(num_groups, channels)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, ceil(H / stride), ceil(W / stride)), before the GroupNorm."""
        weight, bias = self.conv.weight, self.conv.bias
        return modulated_deform_conv(x, offset, mask, weight, bias, stride=self.stride)


class DyConv(nn.Module):
    """Scale-, space- and task-aware attention over the pyramid.

    Every level is the weighted mean of what three deformable convolutions find on it, on the finer
    level and on the coarser one. All three follow the offsets computed on the level itself.

    Args:
        channels: C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.same = DeformConvNorm(channels, stride=1)
        self.finer = DeformConvNorm(channels, stride=2)
        self.coarser = DeformConvNorm(channels, stride=1)
        self.offset = nn.Conv2d(channels, 27, 3, padding=1)
        self.scale_attention = nn.Conv2d(channels, 1, 1)
        self.relu = DyReLU(channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights of deviation 0.01 and zero biases, as the official code starts."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """A map (B, C, H_i, W_i) per level, finest first -> the same."""
        return [self._level(levels, index) for index in range(len(levels))]

    def _level(self, levels: Sequence[Tensor], index: int) -> Tensor:
        here = levels[index]
        taps = self.offset(here)
        offset, mask = taps[:, :18], taps[:, 18:].sigmoid()
        sources = [(self.same, here)]
        if index > 0:
            sources.append((self.finer, levels[index - 1]))
        if index + 1 < len(levels):
            sources.append((self.coarser, levels[index + 1]))
        norms = [conv.gn for conv, _ in sources]
        found = (conv(x, offset, mask) for conv, x in sources)

        def combine(*found: Tensor) -> Tensor:
            return self._combine(found, norms, here.shape[-2:])

        if torch.is_grad_enabled() and here.numel() > _MIN_CHECKPOINT_NUMEL:
            # Six maps of a level would be kept for the backward pass, where three are enough.
            return checkpoint(combine, *found, use_reentrant=False)
        return self._combine(found, norms, here.shape[-2:])

    def _combine(
        self, found: Iterable[Tensor], norms: Sequence[nn.GroupNorm], size: tuple[int, int]
    ) -> Tensor:
        """What the convolutions found, (B, C, ., .) each -> the level's new map (B, C, *size)."""
        total: Tensor | None = None
        for x, norm in zip(found, norms, strict=True):
            x = norm(x)
            if x.shape[-2:] != size:  # of the coarser level
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            weight = self._weight(x) / len(norms)
            total = weight * x if total is None else torch.addcmul(total, weight, x)
        return self.relu(total)

    def _weight(self, x: Tensor) -> Tensor:
        """How much a result counts, (B, 1, 1, 1): hardsigmoid(relu(1x1 conv(mean)))."""
        pooled = x.mean((2, 3), keepdim=True)
        return F.hardsigmoid(self.scale_attention(pooled).relu())
