"""Feature pyramid network (Lin et al., CVPR 2017) with RetinaNet's levels P6 and P7.

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
    """P3...P7 from the last three stages of the backbone, in torchvision's modules.

    1x1 lateral convolutions, top-down path with nearest upsampling, 3x3 output convolutions; P6 is
    a 3x3 convolution of stride 2 on P5, P7 the same on relu(P6). No norms.

    Args:
        in_channels: channels of each feature map of the backbone.
        out_channels: channels of every level.
        num_outs: number of levels, two more than the feature maps used.
        start_level: index of the first feature map used.
        add_extra_convs: only ``'on_output'`` (P6 from P5), as in every GLIP.
        relu_before_extra_convs: only ``True`` (P7 from relu(P6)), as in every GLIP.

    Raises:
        ValueError: an option of MMDetection's FPN has a value that GLIP does not use.
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
                f"the FPN adds two levels to {len(used)} feature maps: expected "
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

    def forward(self, feature_maps: Sequence[Tensor]) -> list[Tensor]:
        """Compute the feature pyramid.

        Args:
            feature_maps: feature maps of the backbone, finest first.

        Returns:
            multi-level feature maps (B, ``out_channels``, H_i, W_i), finest first.
        """
        feature_maps = list(feature_maps)[self.start_level :]
        merged = self.inner_blocks[-1](feature_maps[-1])
        levels = [self.layer_blocks[-1](merged)]
        for index in reversed(range(len(feature_maps) - 1)):
            lateral = self.inner_blocks[index](feature_maps[index])
            top_down = F.interpolate(merged, size=lateral.shape[-2:], mode="nearest")
            merged = self.drop(lateral + top_down)
            levels.insert(0, self.layer_blocks[index](merged))
        names = [f"p{index + 3}" for index in range(len(levels))]
        return self.extra_blocks(levels, feature_maps, names)[0]


@MODELS.register_module(name=["FPNDropBlock", "FPN_DropBlock"])
class FPNDropBlock(FPN):
    """The FPN of GLIP's training, with DropBlock on the merged feature maps.

    In evaluation it computes the same as :class:`FPN` with the same weights.

    Args:
        drop_prob: drop probability (official: 0.3).
        block_size: side of a dropped block in positions (official: 3).

    The other arguments are those of :class:`FPN`.
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
