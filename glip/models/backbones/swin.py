"""Swin Transformer as used for detection (Liu et al., ICCV 2021, section 3 and appendix A2.2).

Shapes: B images, H x W the feature map of a stage, C its channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from timm.layers import PatchEmbed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip.models.backbones.swin_block import SwinBlock, make_shift_mask
from glip.registry import MODELS
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten


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


class SwinStage(nn.Module):
    """The blocks of one resolution; every odd one shifts its windows.

    Args:
        dim: C.
        num_heads: number of attention heads.
        drop_paths: stochastic depth rate of each block; its length is the number of blocks.
        downsample: whether to have a patch merging layer, for a following stage.
        window_size, mlp_ratio, qkv_bias, qk_scale, drop, attn_drop: see :class:`SwinBlock`.
        with_cp: activation checkpointing of every block.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        drop_paths: Sequence[float],
        downsample: bool,
        window_size: int,
        mlp_ratio: float,
        qkv_bias: bool,
        qk_scale: float | None,
        drop: float,
        attn_drop: float,
        with_cp: bool,
    ):
        super().__init__()
        self.window_size = window_size
        self.with_cp = with_cp
        self.blocks = nn.ModuleList(
            SwinBlock(
                dim,
                num_heads,
                window_size=window_size,
                shift=window_size // 2 if index % 2 else 0,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop=drop,
                attn_drop=attn_drop,
                drop_path=drop_path,
            )
            for index, drop_path in enumerate(drop_paths)
        )
        self.downsample = PatchMerging(dim) if downsample else None

    def forward(self, x: Tensor) -> Tensor:
        """Compute the blocks, without ``downsample``: (B, H, W, C) -> (B, H, W, C)."""
        shift_mask = make_shift_mask(x.shape[1], x.shape[2], self.window_size, x.device)
        for block in self.blocks:
            if self.with_cp and self.training:
                x = checkpoint(block, x, shift_mask, use_reentrant=False)
            else:
                x = block(x, shift_mask)
        return x


@MODELS.register_module()
class SwinTransformer(BaseModule):
    """Swin Transformer that returns the feature maps of several stages.

    The defaults are those of Swin-T, the argument names those of MMDetection.

    Args:
        in_channels: channels of the image.
        embed_dims: channels of the first stage; each next stage has twice as many.
        patch_size: side of a patch in pixels.
        window_size: side of an attention window in positions.
        mlp_ratio: hidden width of the feed-forward networks divided by their input width.
        depths: number of blocks of each stage.
        num_heads: number of attention heads of each stage.
        out_indices: stages whose feature maps are returned; the stride of stage i is
            ``patch_size`` * 2**i.
        qkv_bias: whether queries, keys and values have a bias.
        qk_scale: scale of the attention logits; ``None`` for 1 / sqrt(head width).
        patch_norm: whether a LayerNorm follows the patch embedding.
        drop_rate: dropout probability of the projections.
        attn_drop_rate: dropout probability of the attention weights.
        drop_path_rate: stochastic depth rate of the last block; the rates rise linearly from 0.
        with_cp: activation checkpointing of every block.
        convert_weights: also load the parameter names of microsoft/Swin-Transformer's (ImageNet)
            files, which ``init_cfg=dict(type='Pretrained', checkpoint=...)`` may point to.
        frozen_stages: number of frozen stages, 0 for the patch embedding only, -1 for none.
            GLIP-L was trained with 1, GLIP-T with -1.
        init_cfg: mmengine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int = 4,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        with_cp: bool = False,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if len(depths) != len(num_heads) or any(not 0 <= at < len(depths) for at in out_indices):
            raise ConfigError(
                f"expected depths and num_heads of equally many stages and out_indices below their "
                f"number, got depths={shorten(depths)}, num_heads={shorten(num_heads)} and "
                f"out_indices={shorten(out_indices)}"
            )
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.patch_embed = PatchEmbed(
            img_size=None,
            patch_size=patch_size,
            in_chans=in_channels,
            embed_dim=embed_dims,
            norm_layer=nn.LayerNorm if patch_norm else None,
            output_fmt="NHWC",
            dynamic_img_pad=True,
        )
        self.pos_drop = nn.Dropout(drop_rate)
        drop_paths = np.linspace(0, drop_path_rate, sum(depths)).tolist()
        self.stages = nn.ModuleList()
        for index, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            start = sum(depths[:index])
            self.stages.append(
                SwinStage(
                    embed_dims * 2**index,
                    heads,
                    drop_paths=drop_paths[start : start + depth],
                    downsample=index < len(depths) - 1,
                    window_size=window_size,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    qk_scale=qk_scale,
                    drop=drop_rate,
                    attn_drop=attn_drop_rate,
                    with_cp=with_cp,
                )
            )
        for index in self.out_indices:
            self.add_module(f"norm{index}", nn.LayerNorm(embed_dims * 2**index))
        if convert_weights:
            self._register_load_state_dict_pre_hook(_rename_official_swin)
        self._freeze()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps of ``out_indices``.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            multi-level feature maps (B, C_i, H_i, W_i), finest first.
        """
        x = self.pos_drop(self.patch_embed(images))
        outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                outputs.append(getattr(self, f"norm{index}")(x).permute(0, 3, 1, 2))
            assert isinstance(stage, SwinStage)
            if stage.downsample is not None:
                x = stage.downsample(x)
        return outputs

    def train(self, mode: bool = True) -> SwinTransformer:
        """Set the training mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (self.patch_embed, *self.stages[: self.frozen_stages]):
            module.eval().requires_grad_(False)


def _rename_official_swin(state_dict: dict, prefix: str, *_: object) -> None:
    """Rename microsoft/Swin-Transformer's ``layers.i`` to ``stages.i`` in place."""
    start = f"{prefix}layers."
    for key in [key for key in state_dict if key.startswith(start)]:
        state_dict[f"{prefix}stages.{key[len(start) :]}"] = state_dict.pop(key)
