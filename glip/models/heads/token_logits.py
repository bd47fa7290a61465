"""Words instead of classes: how well each position matches each token (GLIP, equation 3).

Shapes: B images, H x W a level's map with C channels, T text tokens of D channels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.models.ops.blockwise_attention import CLAMP

#: Probability that an untrained position is given to a token (focal loss, Lin et al., section 4.1).
PRIOR = 0.01


class TokenLogits(nn.Module):
    """Dot products of visual features with projected text features.

    With e the text features, L2-normalised over D:
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
        """(B, T, D) text features -> (B, T, C) words in visual space and (B, T) their biases."""
        embedding = F.normalize(text, dim=-1)
        words = self.projection(embedding / 2) / self.log_scale.exp()
        return words, embedding @ self.bias_lang + self.bias0

    def forward(self, level: Tensor, words: Tensor, bias: Tensor) -> Tensor:
        """(B, C, H, W), (B, T, C) and (B, T) -> (B, H * W, T) logits."""
        logits = torch.baddbmm(bias[:, None], level.flatten(2).transpose(1, 2), words.mT)
        return logits.clamp(-CLAMP, CLAMP)
