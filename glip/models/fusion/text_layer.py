"""A BERT layer on the fused text features (GLIP, section 3.2, equation 6).

Shapes: B captions, T tokens, D channels, h heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glip.models.ops.blockwise_attention import CLAMP


class TextLayer(nn.Module):
    """Self-attention and a feed-forward network, post-norm, as in BERT.

    It is not transformers' layer because the official code clamps the attention logits and both
    feed-forward activations, and the internals of transformers change between versions.

    Args:
        dim: D.
        num_heads: h.
        intermediate_dim: hidden width of the feed-forward network.
        dropout: dropout probability of the attention weights and of both outputs (official: 0.1).
        eps: of the LayerNorms (BERT: 1e-12).
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 12,
        intermediate_dim: int = 3072,
        dropout: float = 0.1,
        eps: float = 1e-12,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.attention_output = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=eps)
        self.intermediate = nn.Linear(dim, intermediate_dim)
        self.output = nn.Linear(intermediate_dim, dim)
        self.output_norm = nn.LayerNorm(dim, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise weights with std 0.02 and biases with zeros, as BERT does."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, text: Tensor, mask: Tensor) -> Tensor:
        """Compute the layer.

        Args:
            text: (B, T, D).
            mask: (B, T) bool, true on real tokens.

        Returns:
            (B, T, D).
        """
        attended = self.dropout(self.attention_output(self._attend(text, mask)))
        text = self.attention_norm(attended + text)
        hidden = F.gelu(self.intermediate(text).clamp(-CLAMP, CLAMP))
        hidden = self.output(hidden.clamp(-CLAMP, CLAMP)).clamp(-CLAMP, CLAMP)
        return self.output_norm(self.dropout(hidden) + text)

    def _attend(self, text: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            projection(text).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, h, T, D/h)
            for projection in (self.query, self.key, self.value)
        )
        logits = (query @ key.transpose(2, 3)) * query.shape[-1] ** -0.5
        logits = logits.clamp(-CLAMP, CLAMP)
        logits = logits.masked_fill(~mask[:, None, None], torch.finfo(logits.dtype).min)
        attention = self.dropout(logits.softmax(dim=-1))
        return (attention @ value).transpose(1, 2).flatten(2)
