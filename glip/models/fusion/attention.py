"""Cross-modality attention between image and text (GLIP, section 3.2, equations 4 and 5).

Shapes: B images, N visual positions over all levels, T text tokens, C visual and D text channels,
h heads of width E / h, where E is the embedding width of the attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glip.models.ops import bidirectional_attention


class BiAttention(nn.Module):
    """Bi-directional multi-head attention: X-MHA of the paper.

    One logit matrix is used in both directions: by the image to attend to the text, and by the
    text to attend to the image. See :func:`~glip.models.ops.bidirectional_attention`.

    Args:
        visual_dim: C.
        text_dim: D.
        embed_dim: E (official: 2048).
        num_heads: h (official: 8).
        dropout: dropout probability of the attention weights (official: 0.1).

    Raises:
        ValueError: ``embed_dim`` is not divisible by ``num_heads``.
    """

    def __init__(
        self, visual_dim: int, text_dim: int, *, embed_dim: int, num_heads: int, dropout: float
    ):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(
                f"expected an embed_dim divisible by num_heads={num_heads}, got {embed_dim}"
            )
        self.num_heads = num_heads
        self.v_proj = nn.Linear(visual_dim, embed_dim)
        self.l_proj = nn.Linear(text_dim, embed_dim)
        self.values_v_proj = nn.Linear(visual_dim, embed_dim)
        self.values_l_proj = nn.Linear(text_dim, embed_dim)
        self.out_v_proj = nn.Linear(embed_dim, visual_dim)
        self.out_l_proj = nn.Linear(embed_dim, text_dim)
        self.dropout = dropout
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise weights Xavier-uniform and biases with zeros, as the official code does."""
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, visual: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attend in both directions.

        Args:
            visual: (B, N, C).
            text: (B, T, D).
            mask: (B, T) bool, true on real tokens. Padding of the image is not masked (official).

        Returns:
            the update of the image, (B, N, C), and of the text, (B, T, D).
        """
        visual_update, text_update = bidirectional_attention(
            visual,
            self._split_heads(self.l_proj(text)),
            self._split_heads(self.values_l_proj(text)),
            mask,
            query_proj=self.v_proj,
            value_proj=self.values_v_proj,
            out_proj=self.out_v_proj,
            dropout=self.dropout if self.training else 0.0,
        )
        return visual_update, self.out_l_proj(text_update)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, E) -> (B, h, T, E/h)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class BiAttentionBlock(nn.Module):
    """Layer norm, bi-directional attention and a residual with a learned scale per channel.

    As in the official code the residual is added to the *normalised* input.

    Args:
        visual_dim: C.
        text_dim: D.
        embed_dim, num_heads, dropout: see :class:`BiAttention`.
        init_values: initial value of the learned scales (official: 1 / number of blocks).
    """

    def __init__(
        self,
        visual_dim: int,
        text_dim: int,
        *,
        embed_dim: int = 2048,
        num_heads: int = 8,
        dropout: float = 0.1,
        init_values: float = 1 / 6,
    ):
        super().__init__()
        self.layer_norm_v = nn.LayerNorm(visual_dim)
        self.layer_norm_l = nn.LayerNorm(text_dim)
        self.attn = BiAttention(
            visual_dim, text_dim, embed_dim=embed_dim, num_heads=num_heads, dropout=dropout
        )
        self.gamma_v = nn.Parameter(init_values * torch.ones(visual_dim))
        self.gamma_l = nn.Parameter(init_values * torch.ones(text_dim))

    def forward(
        self, levels: Sequence[Tensor], text: Tensor, mask: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """Fuse image and text.

        Args:
            levels: multi-level feature maps (B, C, H_i, W_i); the image's N positions are those of
                all levels.
            text: (B, T, D) text features.
            mask: (B, T) bool, true on real tokens.

        Returns:
            the fused feature maps and text features, of the same shapes.
        """
        sizes = [level.shape[-2:] for level in levels]
        visual = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)
        visual = self.layer_norm_v(visual)
        text = self.layer_norm_l(text)
        visual_update, text_update = self.attn(visual, text, mask)
        visual = visual + self.gamma_v * visual_update
        text = text + self.gamma_l * text_update
        per_level = visual.split([height * width for height, width in sizes], dim=1)
        fused = [
            level.transpose(1, 2).unflatten(2, tuple(size))
            for level, size in zip(per_level, sizes, strict=True)
        ]
        return fused, text
