"""The fusion tower of the head: blocks of (cross-attention, text layer, DyConv), or DyConv alone.

Shapes: B images, T text tokens, C visual and D text channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from glip.models.fusion.attention import BiAttentionBlock
from glip.models.fusion.dyconv import DyConv
from glip.models.fusion.text_layer import TextLayer


class FusionBlock(nn.Module):
    """One block of the tower: cross-attention, then a layer for each modality.

    Args:
        channels: C.
        text_dim: D.
        early_fuse: whether image and text are fused (GLIP-T (A) has DyConv only).
        num_text_heads, text_intermediate_dim: sizes of the text layer, those of the language
            encoder.
        fusion_dim, num_fusion_heads: embedding width and heads of the cross-attention.
        dropout: dropout probability in cross-attention and text layer.
        init_values: initial value of the residual scales of the cross-attention.
        use_checkpoint: activation checkpointing of the cross-attention, which saves most of the
            memory of training (the official code checkpoints this part only).
    """

    def __init__(
        self,
        channels: int,
        text_dim: int,
        *,
        early_fuse: bool,
        num_text_heads: int,
        text_intermediate_dim: int,
        fusion_dim: int,
        num_fusion_heads: int,
        dropout: float,
        init_values: float,
        use_checkpoint: bool,
    ):
        super().__init__()
        self.use_checkpoint = use_checkpoint
        self.fusion: BiAttentionBlock | None = None
        self.text_layer: TextLayer | None = None
        if early_fuse:
            self.fusion = BiAttentionBlock(
                channels,
                text_dim,
                embed_dim=fusion_dim,
                num_heads=num_fusion_heads,
                dropout=dropout,
                init_values=init_values,
            )
            self.text_layer = TextLayer(
                text_dim,
                num_heads=num_text_heads,
                intermediate_dim=text_intermediate_dim,
                dropout=dropout,
            )
        self.dyconv = DyConv(channels)

    def forward(
        self, levels: Sequence[Tensor], text: Tensor, mask: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Compute the block; see :meth:`FusionTower.forward`."""
        levels = list(levels)
        if self.fusion is not None and self.text_layer is not None:
            if self.use_checkpoint and self.training:
                levels, text = checkpoint(self.fusion, levels, text, mask, use_reentrant=False)
            else:
                levels, text = self.fusion(levels, text, mask)
            text = self.text_layer(text, mask)
        return self.dyconv(levels), text


class FusionTower(nn.Module):
    """``num_blocks`` fusion blocks; the other arguments are those of :class:`FusionBlock`.

    Args:
        num_blocks: 6 in GLIP-T, 8 in GLIP-L.
    """

    def __init__(
        self,
        channels: int,
        text_dim: int,
        *,
        num_blocks: int = 6,
        early_fuse: bool = True,
        num_text_heads: int = 12,
        text_intermediate_dim: int = 3072,
        fusion_dim: int = 2048,
        num_fusion_heads: int = 8,
        dropout: float = 0.1,
        use_checkpoint: bool = False,
    ):
        super().__init__()
        self.early_fuse = early_fuse
        self.blocks = nn.ModuleList(
            FusionBlock(
                channels,
                text_dim,
                early_fuse=early_fuse,
                num_text_heads=num_text_heads,
                text_intermediate_dim=text_intermediate_dim,
                fusion_dim=fusion_dim,
                num_fusion_heads=num_fusion_heads,
                dropout=dropout,
                init_values=1 / num_blocks,
                use_checkpoint=use_checkpoint,
            )
            for _ in range(num_blocks)
        )

    def forward(
        self, levels: Sequence[Tensor], text: Tensor, mask: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Fuse image and text.

        Args:
            levels: multi-level feature maps (B, C, H_i, W_i), finest first.
            text: (B, T, D) hidden state of the language encoder.
            mask: (B, T) bool, true on real tokens.

        Returns:
            fused feature maps and text features of the same shapes; without early fusion the text
            is returned unchanged.
        """
        fused = list(levels)
        for block in self.blocks:
            fused, text = block(fused, text, mask)
        return fused, text

    def forward_visual(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Compute the DyConvs alone, which is the entire tower without early fusion.

        Args:
            levels: multi-level feature maps (B, C, H_i, W_i), finest first.

        Returns:
            feature maps of the same shapes.
        """
        feature_maps = list(levels)
        for block in self.blocks:
            feature_maps = block.get_submodule("dyconv")(feature_maps)
        return feature_maps
