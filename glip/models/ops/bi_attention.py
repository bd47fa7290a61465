"""Bi-directional attention between image and text (GLIP, section 3.2, equations 4 and 5).

Shapes: B images, N visual positions of C channels, T text tokens, h heads of width E / h, where E
is the embedding width of the attention.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.models.ops.blockwise_attention import (
    CLAMP,
    BlockwiseAttention,
    compute_logits,
    softmax_over_tokens,
)
from glip.models.ops.fused_ops import use_fused_ops
from glip.utils.precision import is_autocast_enabled


def bidirectional_attention(
    visual: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    query_proj: nn.Linear,
    value_proj: nn.Linear,
    out_proj: nn.Linear,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Attend from image to text and from text to image with one logit matrix.

    With the image's queries Q = query_proj(visual) / sqrt(E / h) and values V = value_proj(visual),
    for each head: logits = Q keys', clamped to +-50,000; the image's output is
    softmax(logits over tokens) values, the text's output is softmax(logits over positions)' V.
    Padding tokens are masked in the first softmax; padding of the image is not masked (official).

    The projections of the image are passed as layers because the fused form folds their weights
    into keys, values and outputs, see :func:`fused_bidirectional_attention`.

    Args:
        visual: (B, N, C).
        keys: (B, h, T, E / h), of the text.
        values: (B, h, T, E / h), of the text.
        mask: (B, T) bool, true on real tokens.
        query_proj: C -> E.
        value_proj: C -> E.
        out_proj: E -> C, of the image's output.
        dropout: dropout probability of the attention weights.

    Returns:
        the image's output after ``out_proj``, (B, N, C), and the text's output, (B, T, E).
    """
    attend = fused_bidirectional_attention if use_fused_ops() else plain_bidirectional_attention
    return attend(visual, keys, values, mask, query_proj, value_proj, out_proj, dropout)


def plain_bidirectional_attention(
    visual: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    query_proj: nn.Linear,
    value_proj: nn.Linear,
    out_proj: nn.Linear,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`bidirectional_attention` by its formula, with all projections of the image."""
    num_heads, _, width = keys.shape[1:]

    def split_heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (num_heads, width)).transpose(1, 2)  # (B, h, N, E/h)

    queries = split_heads(query_proj(visual) * width**-0.5)
    logits = (queries @ keys.mT).clamp(-CLAMP, CLAMP)  # (B, h, N, T)
    lowest = torch.finfo(logits.dtype).min
    to_text = logits.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1)
    to_image = (logits - logits.amax(dim=2, keepdim=True)).clamp(-CLAMP, CLAMP)
    to_image = to_image.softmax(dim=2).mT
    visual_out = F.dropout(to_text, dropout) @ values
    text_out = F.dropout(to_image, dropout) @ split_heads(value_proj(visual))
    return (
        out_proj(visual_out.transpose(1, 2).flatten(2)),
        text_out.transpose(1, 2).flatten(2),
    )


def fused_bidirectional_attention(
    visual: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    query_proj: nn.Linear,
    value_proj: nn.Linear,
    out_proj: nn.Linear,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`bidirectional_attention` without the projections of the image.

    The image is long (N is 18,000 for 800 x 1066 pixels) and narrow (C = 256), and its projections
    are eight times as wide (E = 2048). Therefore ``(v Wq) k'`` of a head is computed as
    ``v (Wq k')``, and both outputs likewise: an exact re-association of the products. The folded
    keys and values of all heads are concatenated, hT of them with C channels, so that each step is
    one matrix product.

    On a CPU the logits are computed one block of positions at a time, see
    :class:`~glip.models.ops.blockwise_attention.BlockwiseAttention`; elsewhere, and when training
    under autocast, all at once.
    """
    num_heads, _, width = keys.shape[1:]
    keys = keys * width**-0.5
    query_weight, query_bias = _per_head(query_proj, num_heads)
    offset = (keys * query_bias[:, None]).sum(-1).flatten(1)[:, None]  # (B, 1, hT)
    keys = (keys @ query_weight).flatten(1, 2)  # (B, hT, C)
    out_weight = out_proj.weight.unflatten(1, (num_heads, -1))  # (C, h, E/h)
    values = (values @ out_weight.permute(1, 2, 0)).flatten(1, 2)  # (B, hT, C)
    if visual.device.type == "cpu" and not (torch.is_grad_enabled() and is_autocast_enabled("cpu")):
        visual_out, text_out, weight_sums = BlockwiseAttention.apply(
            visual, keys, offset, values, mask, num_heads, dropout
        )
    else:
        visual_out, text_out, weight_sums = attend_at_once(
            visual, keys, offset, values, mask, num_heads, dropout
        )
    value_weight, value_bias = _per_head(value_proj, num_heads)
    text_out, weight_sums = (x.unflatten(1, (num_heads, -1)) for x in (text_out, weight_sums))
    # The weights sum to 1 except under dropout, so the bias is multiplied by their sums.
    text_out = text_out.to(value_weight.dtype) @ value_weight.mT
    text_out = text_out + weight_sums[..., None] * value_bias[:, None]  # (B, h, T, E/h)
    return visual_out + out_proj.bias, text_out.transpose(1, 2).flatten(2)


def attend_at_once(
    visual: Tensor,
    keys: Tensor,
    offset: Tensor,
    values: Tensor,
    mask: Tensor,
    num_heads: int,
    dropout: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute :meth:`BlockwiseAttention.forward` over all positions at once."""
    logits = compute_logits(visual, keys, offset).clamp(-CLAMP, CLAMP)
    to_image = logits - logits.amax(dim=1, keepdim=True)
    to_image = F.dropout(to_image.clamp(-CLAMP, CLAMP).softmax(dim=1), dropout)
    to_text = F.dropout(softmax_over_tokens(logits, mask, num_heads), dropout)
    return to_text @ values, to_image.mT @ visual, to_image.sum(dim=1)


def _per_head(projection: nn.Linear, num_heads: int) -> tuple[Tensor, Tensor]:
    """Return weight (h, E/h, C) and bias (h, E/h) of a projection of the image."""
    return (
        projection.weight.unflatten(0, (num_heads, -1)),
        projection.bias.unflatten(0, (num_heads, -1)),
    )
