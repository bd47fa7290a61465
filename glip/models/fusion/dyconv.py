"""DyHead's block: deformable convolutions on each level and on its two neighbours.

Dai et al., "Dynamic Head", CVPR 2021; the activation is DyReLU-B of Chen et al., ECCV 2020.
Shapes: B images, level i of size H_i x W_i with C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip.models.ops import modulated_deform_conv

#: The activations of feature maps with more values than this are recomputed in the backward pass:
#: those of the finest level for two images of 480 x 640 pixels. For smaller ones the time outweighs
#: the memory.
_MIN_CHECKPOINT_NUMEL = 2**20


class DyReLU(nn.Module):
    """Dynamic ReLU: the maximum of two lines per channel, computed from the pooled feature map.

    max(a1 x + b1, a2 x + b2), where a small network computes theta in [0, 1] from the pooled map:
    a1 = 2 (theta - 0.5) + 1, a2 = 2 (theta - 0.5), b1 and b2 = theta - 0.5 (official ranges).

    Args:
        channels: C.
        reduction: C divided by the hidden width of the small network (official: 4).
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
        """Activate: (B, C, H, W) -> (B, C, H, W)."""
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
        # Holds the parameters only; forward computes a deformable convolution with them.
        self.conv = nn.Conv2d(channels, channels, 3)
        self.gn = nn.GroupNorm(num_groups, channels)

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """Convolve, without the GroupNorm.

        Args:
            x: (B, C, H, W).
            offset, mask: see :func:`~glip.models.ops.modulated_deform_conv`.

        Returns:
            (B, C, ceil(H / stride), ceil(W / stride)).
        """
        # Under FSDP the attributes are views of the flat parameter, so get_parameter refuses them.
        weight, bias = self.conv.weight, cast(Tensor, self.conv.bias)
        out = modulated_deform_conv(x, offset, mask, weight, bias, stride=self.stride)
        return out.to(weight.dtype)  # float32, unless the model itself was converted


class DyConv(nn.Module):
    """Scale-, spatial- and task-aware attention over the feature pyramid.

    The output of a level is the weighted mean of three deformable convolutions: of the level
    itself, of the finer and of the coarser level. All three use the offsets and masks computed on
    the level itself.

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
        """Initialise weights with std 0.01 and biases with zeros, as the official code does."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.get_parameter("bias"))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Compute the block on multi-level feature maps.

        Args:
            levels: (B, C, H_i, W_i) each, finest first.

        Returns:
            feature maps of the same shapes.
        """
        return [self._forward_level(levels, index) for index in range(len(levels))]

    def _forward_level(self, levels: Sequence[Tensor], index: int) -> Tensor:
        level = levels[index]
        offset_and_mask = self.offset(level)
        offset, mask = offset_and_mask[:, :18], offset_and_mask[:, 18:].sigmoid()
        sources = [(self.same, level)]
        if index > 0:
            sources.append((self.finer, levels[index - 1]))
        if index + 1 < len(levels):
            sources.append((self.coarser, levels[index + 1]))
        norms = [conv.gn for conv, _ in sources]
        outputs = (conv(x, offset, mask) for conv, x in sources)

        def combine(*outputs: Tensor) -> Tensor:
            return self._combine(outputs, norms, level.shape[-2:])

        if torch.is_grad_enabled() and level.numel() > _MIN_CHECKPOINT_NUMEL:
            # Saves three feature maps of a level for the backward pass instead of six.
            return checkpoint(combine, *outputs, use_reentrant=False)
        return self._combine(outputs, norms, level.shape[-2:])

    def _combine(
        self, outputs: Iterable[Tensor], norms: Sequence[nn.GroupNorm], size: torch.Size
    ) -> Tensor:
        """Normalise, resize and average the convolutions' outputs -> (B, C, *size)."""
        total: Tensor | None = None
        for x, norm in zip(outputs, norms, strict=True):
            x = norm(x)
            if x.shape[-2:] != size:  # the output of the coarser level
                x = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
            weight = self._weight(x) / len(norms)
            total = weight * x if total is None else torch.addcmul(total, weight, x)
        return self.relu(total)

    def _weight(self, x: Tensor) -> Tensor:
        """Compute the weight of an output, hardsigmoid(relu(conv(mean))), (B, 1, 1, 1)."""
        pooled = x.mean((2, 3), keepdim=True)
        return F.hardsigmoid(self.scale_attention(pooled).relu())
