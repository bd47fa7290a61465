"""Feature pyramid (Lin et al., CVPR 2017) with RetinaNet's two coarse levels, after torchvision.

Shapes: B images, level i of size H_i x W_i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import DropBlock2d, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from glip.registry import MODELS


@MODELS.register_module()
class FPN(FeaturePyramidNetwork):
    """P3...P7 from the backbone's last three stages.

    1x1 lateral convolutions, nearest top-down sums, 3x3 output convolutions; P6 is a 3x3
    convolution of stride 2 on P5's output, P7 the same on relu(P6). No norms.

    Args:
        in_channels: channels of each map of the backbone.
        out_channels: channels of every level.
        num_outs: number of levels, always two more than there are maps.
        start_level: first map used.
        add_extra_convs: only ``'on_output'`` (P6 from P5's output), what every GLIP uses.
        relu_before_extra_convs: only ``True`` (P7 from relu(P6)), what every GLIP uses.

    Raises:
        ValueError: an option of MMDetection's FPN that GLIP does not use.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int = 5,
        start_level: int = 0,
        add_extra_convs: str = "on_output",
        relu_before_extra_convs: bool = True,
    ):
        used = list(in_channels)[start_level:]
        if num_outs != len(used) + 2:
            raise ValueError(
                f"this FPN adds two levels to the {len(used)} it gets: expected "
                f"num_outs={len(used) + 2}, got {num_outs}"
            )
        if add_extra_convs != "on_output" or not relu_before_extra_convs:
            raise ValueError(
                "expected add_extra_convs='on_output' and relu_before_extra_convs=True, as in "
                f"every GLIP, got {add_extra_convs!r} and {relu_before_extra_convs}"
            )
        super().__init__(used, out_channels, LastLevelP6P7(out_channels, out_channels))
        self.start_level = start_level
        self.drop = nn.Identity()

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Build the pyramid.

        Args:
            maps: the backbone's maps, finest first.

        Returns:
            a level (B, ``out_channels``, H_i, W_i) per stride, finest first.
        """
        maps = list(maps)[self.start_level :]
        merged = self.inner_blocks[-1](maps[-1])
        levels = [self.layer_blocks[-1](merged)]
        for index in reversed(range(len(maps) - 1)):
            lateral = self.inner_blocks[index](maps[index])
            top_down = F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
            merged = self.drop(lateral + top_down)
            levels.insert(0, self.layer_blocks[index](merged))
        names = [f"p{index + 3}" for index in range(len(levels))]
        return self.extra_blocks(levels, maps, names)[0]


@MODELS.register_module(name=["FPNDropBlock", "FPN_DropBlock"])
class FPNDropBlock(FPN):
    """The pyramid of GLIP's training: blocks of the merged maps are dropped.

    In evaluation it computes what :class:`FPN` computes, with the same weights.

    Args:
        drop_prob: probability of dropping (official: 0.3).
        block_size: side of a dropped block in positions (official: 3).
        in_channels, out_channels, num_outs, start_level, add_extra_convs,
            relu_before_extra_convs: see :class:`FPN`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int = 5,
        start_level: int = 0,
        add_extra_convs: str = "on_output",
        relu_before_extra_convs: bool = True,
        drop_prob: float = 0.3,
        block_size: int = 3,
    ):
        super().__init__(
            in_channels,
            out_channels,
            num_outs,
            start_level,
            add_extra_convs,
            relu_before_extra_convs,
        )
        self.drop = DropBlock2d(drop_prob, block_size)
