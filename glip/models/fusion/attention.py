"""Cross-attention between image and text, both ways at once (GLIP, section 3.2, equation 5).

Shapes: B images, N visual positions over all levels, T text tokens, C visual and D text channels,
h heads of width E / h, where E is the embedding of the attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

#: Official guard against half-precision overflow of attention logits and activations.
CLAMP = 50000.0


class BiAttention(nn.Module):
    """One logit matrix, used by the image to read the text and by the text to read the image.

    The image is long (N is 17,000 for an 800 x 1066 picture) and narrow (C = 256), its projections
    are eight times wider (E = 2048). They are therefore never made: with heads i,
    ``(v Wq_i) (t Wk_i)'`` is computed as ``v (Wq_i (t Wk_i)')``, and both outputs likewise, an
    exact re-association of the products.

    Args:
        visual_dim: C.
        text_dim: D.
        embed_dim: E (official: 2048).
        num_heads: h (official: 8).
        dropout: of the attention weights in training (official: 0.1).
    """

    def __init__(
        self, visual_dim: int, text_dim: int, *, embed_dim: int, num_heads: int, dropout: float
    ):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must divide by the {num_heads} heads, got {embed_dim}")
        self.num_heads = num_heads
        self.scale = (embed_dim // num_heads) ** -0.5
        self.v_proj = nn.Linear(visual_dim, embed_dim)
        self.l_proj = nn.Linear(text_dim, embed_dim)
        self.values_v_proj = nn.Linear(visual_dim, embed_dim)
        self.values_l_proj = nn.Linear(text_dim, embed_dim)
        self.out_v_proj = nn.Linear(embed_dim, visual_dim)
        self.out_l_proj = nn.Linear(embed_dim, text_dim)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform weights and zero biases, as the official code starts."""
        for projection in self.children():
            if isinstance(projection, nn.Linear):
                nn.init.xavier_uniform_(projection.weight)
                nn.init.zeros_(projection.bias)

    def forward(self, visual: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attend both ways.

        Args:
            visual: (B, N, C).
            text: (B, T, D).
            mask: (B, T) bool, true on real tokens. Image padding is not masked (official).

        Returns:
            what the image reads, (B, N, C), and what the text reads, (B, T, D).
        """
        logits = self._logits(visual, text)  # (B, h, N, T)
        # The official code fills in -9e15, which half precision has not; both give exactly 0.
        lowest = torch.finfo(logits.dtype).min
        to_text = logits.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1)
        to_image = logits - logits.amax(dim=2, keepdim=True)
        to_image = to_image.clamp(-CLAMP, CLAMP).softmax(dim=2).transpose(2, 3)  # (B, h, T, N)
        return (
            self._read_text(self.dropout(to_text), text),
            self._read_image(self.dropout(to_image), visual),
        )

    def _logits(self, visual: Tensor, text: Tensor) -> Tensor:
        keys = self._split(self.l_proj(text)) * self.scale  # (B, h, T, E/h)
        weight, bias = self._per_head(self.v_proj)
        folded = keys @ weight  # (B, h, T, C): the keys, seen from the image's own channels
        offset = (keys * bias[:, None]).sum(-1)  # (B, h, T): what the query's bias adds
        logits = visual[:, None] @ folded.transpose(2, 3) + offset[:, :, None]
        return logits.clamp(-CLAMP, CLAMP)

    def _read_text(self, attention: Tensor, text: Tensor) -> Tensor:
        values = self._split(self.values_l_proj(text))  # (B, h, T, E/h)
        out = self.out_v_proj.weight.unflatten(1, (self.num_heads, -1))  # (C, h, E/h)
        folded = values @ out.permute(1, 2, 0)  # (B, h, T, C): the values, already projected out
        batch, heads, positions, tokens = attention.shape
        attention = attention.permute(0, 2, 1, 3).reshape(batch, positions, heads * tokens)
        return attention @ folded.flatten(1, 2) + self.out_v_proj.bias

    def _read_image(self, attention: Tensor, visual: Tensor) -> Tensor:
        weight, bias = self._per_head(self.values_v_proj)
        mixed = attention @ visual[:, None]  # (B, h, T, C)
        # The weights sum to one, except under dropout: the bias must be weighed with them.
        read = mixed @ weight.transpose(1, 2) + attention.sum(-1, keepdim=True) * bias[:, None]
        return self.out_l_proj(read.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, E) -> (B, h, T, E/h)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _per_head(self, projection: nn.Linear) -> tuple[Tensor, Tensor]:
        """Weight (h, E/h, C) and bias (h, E/h) of a projection of the image."""
        return (
            projection.weight.unflatten(0, (self.num_heads, -1)),
            projection.bias.unflatten(0, (self.num_heads, -1)),
        )


class BiAttentionBlock(nn.Module):
    """Normalise image and text, let them read each other, add what they read.

    As in the official code the residual is added to the *normalised* input.

    Args:
        visual_dim: C.
        text_dim: D.
        embed_dim, num_heads, dropout: see :class:`BiAttention`.
        init_values: start of the two learned scales of the residuals (official: one over the
            number of blocks).
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
        """Fuse.

        Args:
            levels: a map (B, C, H_i, W_i) per level; the N positions are those of all levels.
            text: (B, T, D).
            mask: (B, T) bool, true on real tokens.

        Returns:
            levels and text of the same shapes.
        """
        sizes = [level.shape[-2:] for level in levels]
        visual = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)
        visual = self.layer_norm_v(visual)
        text = self.layer_norm_l(text)
        visual_read, text_read = self.attn(visual, text, mask)
        visual = visual + self.gamma_v * visual_read
        text = text + self.gamma_l * text_read
        pieces = visual.split([height * width for height, width in sizes], dim=1)
        fused = [
            piece.transpose(1, 2).unflatten(2, tuple(size)).contiguous()
            for piece, size in zip(pieces, sizes, strict=True)
        ]
        return fused, text
