"""Cross-attention between image and text, both ways at once (GLIP, section 3.2, equation 5).

Shapes: B images, N visual positions over all levels, T text tokens, C visual and D text channels,
h heads of width E / h, where E is the embedding of the attention.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glip.models.ops.bi_attention import CLAMP, BlockwiseAttention, make_logits, over_tokens
from glip.utils.precision import autocasts


class BiAttention(nn.Module):
    """One logit matrix, used by the image to read the text and by the text to read the image.

    The image is long (N is 17,000 for an 800 x 1066 picture) and narrow (C = 256), its projections
    are eight times wider (E = 2048). They are therefore never made: with heads i,
    ``(v Wq_i) (t Wk_i)'`` is computed as ``v (Wq_i (t Wk_i)')``, and both outputs likewise, an
    exact re-association of the products. The keys and values of all heads, folded into the image's
    channels, stand side by side, hT of them, so that each step is one matrix product.

    On a CPU the logits are made a block of positions at a time, see
    :class:`~glip.models.ops.bi_attention.BlockwiseAttention`.

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
        keys, offset, values = self._fold(text)
        if visual.device.type == "cpu" and not (torch.is_grad_enabled() and autocasts("cpu")):
            dropout = self.dropout.p if self.training else 0.0
            read_text, mixed, total = BlockwiseAttention.apply(
                visual, keys, offset, values, mask, self.num_heads, dropout
            )
        else:
            read_text, mixed, total = self._at_once(visual, keys, offset, values, mask)
        return read_text + self.out_v_proj.bias, self._read_image(mixed, total)

    def _fold(self, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T, D) -> keys (B, hT, C), what queries' bias adds (B, 1, hT), values (B, hT, C)."""
        weight, bias = self._per_head(self.v_proj)
        keys = self._split(self.l_proj(text)) * self.scale  # (B, h, T, E/h)
        offset = (keys * bias[:, None]).sum(-1)  # (B, h, T)
        out = self.out_v_proj.weight.unflatten(1, (self.num_heads, -1))  # (C, h, E/h)
        values = self._split(self.values_l_proj(text)) @ out.permute(1, 2, 0)  # (B, h, T, C)
        return (keys @ weight).flatten(1, 2), offset.flatten(1)[:, None], values.flatten(1, 2)

    def _at_once(
        self, visual: Tensor, keys: Tensor, offset: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend over all positions; see :meth:`BlockwiseAttention.forward`."""
        logits = make_logits(visual, keys, offset).clamp(-CLAMP, CLAMP)
        to_image = logits - logits.amax(dim=1, keepdim=True)
        to_image = self.dropout(to_image.clamp(-CLAMP, CLAMP).softmax(dim=1))
        to_text = self.dropout(over_tokens(logits, mask, self.num_heads))
        return to_text @ values, to_image.mT @ visual, to_image.sum(dim=1)

    def _read_image(self, mixed: Tensor, total: Tensor) -> Tensor:
        """(B, hT, C) channels of the image and (B, hT) sums of weights -> (B, T, D)."""
        weight, bias = self._per_head(self.values_v_proj)
        mixed, total = (x.unflatten(1, (self.num_heads, -1)) for x in (mixed, total))
        # The weights sum to one, except under dropout: the bias must be weighed with them.
        read = mixed.to(weight.dtype) @ weight.mT + total[..., None] * bias[:, None]
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
            piece.transpose(1, 2).unflatten(2, tuple(size))
            for piece, size in zip(pieces, sizes, strict=True)
        ]
        return fused, text
