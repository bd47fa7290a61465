"""Region-word alignment scores in place of class logits (GLIP, equation 3).

Shapes: B images, a level's feature map H x W with C channels, T text tokens of D channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.models.ops.blockwise_attention import CLAMP

#: Initial probability of every token (focal loss, Lin et al., ICCV 2017, section 4.1).
PRIOR = 0.01


class TokenLogits(nn.Module):
    """Dot products of visual features with projected text features.

    With the text features e, L2-normalised over D:
    logit = visual . (W e / 2 + b) / exp(log_scale) + e . bias_lang + bias0.

    Args:
        text_dim: D.
        channels: C.
    """

    def __init__(self, text_dim: int, channels: int):
        super().__init__()
        self.projection = nn.Linear(text_dim, channels)
        self.log_scale = nn.Parameter(torch.zeros(1))
        self.bias_lang = nn.Parameter(torch.zeros(text_dim))
        self.bias0 = nn.Parameter(torch.full((1,), -math.log((1 - PRIOR) / PRIOR)))

    def project(self, text: Tensor) -> tuple[Tensor, Tensor]:
        """Project text features to the visual channels.

        Args:
            text: (B, T, D).

        Returns:
            words (B, T, C) and bias (B, T), the arguments of :meth:`forward`.
        """
        embedding = F.normalize(text, dim=-1)
        words = self.projection(embedding / 2) / self.log_scale.exp()
        return words, embedding @ self.bias_lang + self.bias0

    def forward(self, level: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        """Compute token logits: (B, C, H, W), (B, T, C) and (B, T) -> (B, H * W, T)."""
        logits = torch.baddbmm(bias[:, None], level.flatten(2).transpose(1, 2), words.mT)
        return logits.clamp(-CLAMP, CLAMP)
