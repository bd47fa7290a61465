"""Bi-directional attention one block of visual positions at a time.

The logit matrix is large (N x hT: 18,000 x 1,560 for an image of 800 x 1066 pixels and the 80 class
names of COCO) and is normalised twice, over tokens and over positions. Here each block of it is
computed, used both ways and discarded while it is in the CPU's cache. The softmax over positions is
accumulated over the blocks (online softmax), and the backward pass recomputes every block, as
FlashAttention does (Dao et al., NeurIPS 2022, sections 3.1 and B.4).

Shapes: B images, N visual positions (n in a block) of C channels, T text tokens, h heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Official guard against half-precision overflow of attention logits and activations.
CLAMP = 50000.0

#: Logits per block: 2 MB in float32; about six tensors of this size are alive at once.
BLOCK_NUMEL = 2**19


class BlockwiseAttention(torch.autograd.Function):
    """Bi-directional attention without the full logit matrix; see :meth:`forward`."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        visual: Tensor,
        keys: Tensor,
        offset: Tensor,
        values: Tensor,
        mask: Tensor,
        num_heads: int,
        dropout: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend in both directions.

        Args:
            ctx: the context of the backward pass.
            visual: (B, N, C), the queries, and the values of the text.
            keys: (B, hT, C), the keys of all heads and tokens, projected to C channels.
            offset: (B, 1, hT), added to the logits.
            values: (B, hT, C), the values that the image reads.
            mask: (B, T) bool, true on real tokens.
            num_heads: h.
            dropout: dropout probability of the attention weights.

        Returns:
            the image's output (B, N, C); the text's output (B, hT, C), a weighted mean of
            ``visual`` for each head and token; and the sums of its weights (B, hT), which dropout
            moves away from 1.
        """
        accumulate = torch.promote_types(keys.dtype, torch.float32)
        max_logit = torch.full_like(offset, -torch.inf, dtype=accumulate)  # (B, 1, hT), so far
        total = torch.zeros_like(max_logit)  # sum of exp(logit - max_logit)
        kept = torch.zeros_like(max_logit)  # the same sum after dropout
        text_out = torch.zeros_like(keys, dtype=accumulate)
        seed = int(torch.randint(2**31, ())) if dropout else 0
        visual_out = []
        for index, block in enumerate(visual.split(_block_size(keys), dim=1)):
            logits = compute_logits(block, keys, offset).clamp_(-CLAMP, CLAMP)
            to_text = softmax_over_tokens(logits, mask, num_heads)
            previous = max_logit
            max_logit = torch.maximum(max_logit, logits.amax(dim=1, keepdim=True))
            rescale = (previous - max_logit).exp()
            # The official code clamps this difference at -50,000, where exp is exactly 0 too.
            weights = (logits - max_logit).exp_()
            total = total * rescale + weights.sum(dim=1, keepdim=True)
            if dropout:
                to_text *= dropout_factors(to_text, dropout, seed, 2 * index)
                weights *= dropout_factors(weights, dropout, seed, 2 * index + 1)
                kept = kept * rescale + weights.sum(dim=1, keepdim=True)
            visual_out.append(to_text @ values)
            text_out = text_out * rescale.mT + weights.to(block.dtype).mT @ block
        text_out = text_out / total.mT
        kept = (kept / total if dropout else torch.ones_like(total))[:, 0]
        ctx.save_for_backward(visual, keys, offset, values, mask, max_logit, total, text_out, kept)
        ctx.settings = num_heads, dropout, seed
        return torch.cat(visual_out, dim=1), text_out, kept

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad_visual_out: Tensor, grad_text_out: Tensor, grad_kept: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Compute the gradients of ``visual``, ``keys``, ``offset`` and ``values``."""
        visual, keys, offset, values, mask, max_logit, total, text_out, kept = ctx.saved_tensors
        num_heads, dropout, seed = ctx.settings
        # The mean that the backward of the softmax over positions subtracts, (B, 1, hT).
        mean = ((text_out * grad_text_out).sum(-1) + kept * grad_kept)[:, None]
        grad_visual = torch.empty_like(visual)
        grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
        grad_offset = torch.zeros_like(offset)
        size = _block_size(keys)
        parts = (each.split(size, dim=1) for each in (visual, grad_visual_out, grad_visual))
        for index, (block, grad_block, grad_out) in enumerate(zip(*parts, strict=True)):
            raw = compute_logits(block, keys, offset)
            logits = raw.clamp(-CLAMP, CLAMP)
            to_text = softmax_over_tokens(logits, mask, num_heads)
            grad_to_text = grad_block @ values.mT
            to_image = logits.sub_(max_logit).exp_().div_(total)
            grad_to_image = torch.baddbmm(grad_kept[:, None], block, grad_text_out.mT)
            dropped_text, dropped_image = to_text, to_image
            if dropout:
                text_factors = dropout_factors(to_text, dropout, seed, 2 * index)
                image_factors = dropout_factors(to_image, dropout, seed, 2 * index + 1)
                dropped_text, dropped_image = to_text * text_factors, to_image * image_factors
                grad_to_text *= text_factors
                grad_to_image *= image_factors
            grad_values += dropped_text.mT @ grad_block
            grad_to_text *= to_text
            heads = (num_heads, -1)
            token_sum = grad_to_text.unflatten(2, heads).sum(-1, keepdim=True)
            token_sum = to_text.unflatten(2, heads) * token_sum
            grad_logits = grad_to_text.sub_(token_sum.flatten(2))
            grad_logits.addcmul_(to_image, grad_to_image.sub_(mean))
            grad_logits.masked_fill_(raw.abs_() > CLAMP, 0)
            grad_out.copy_(torch.baddbmm(dropped_image @ grad_text_out, grad_logits, keys))
            grad_keys += grad_logits.mT @ block
            grad_offset += grad_logits.sum(dim=1, keepdim=True)
        return grad_visual, grad_keys, grad_offset, grad_values, None, None, None


def compute_logits(visual: Tensor, keys: Tensor, offset: Tensor) -> Tensor:
    """Return the logits before the clamp: (B, n, C), (B, hT, C), (B, 1, hT) -> (B, n, hT)."""
    return torch.baddbmm(offset, visual, keys.mT)


def softmax_over_tokens(logits: Tensor, mask: Tensor, num_heads: int) -> Tensor:
    """Return the image's attention weights over the tokens of each head.

    Args:
        logits: (B, n, hT).
        mask: (B, T) bool, true on real tokens.
        num_heads: h.

    Returns:
        (B, n, hT).
    """
    # The official code fills in -9e15, which half precision cannot represent; both give exactly 0.
    lowest = torch.finfo(logits.dtype).min
    logits = logits.unflatten(2, (num_heads, -1))
    return logits.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1).flatten(2)


def dropout_factors(weights: Tensor, dropout: float, seed: int, stream: int) -> Tensor:
    """Return the factors that dropout multiplies ``weights`` with.

    They are a deterministic function of ``seed`` and ``stream``, so that the backward pass
    recomputes them.

    Args:
        weights: of any shape.
        dropout: probability of the factor 0; the other factors are 1 / (1 - dropout).
        seed: of the forward pass.
        stream: number of the random stream in it.

    Returns:
        a tensor of the shape and dtype of ``weights``.
    """
    # 64 random bits decide four weights. torch's generator, which decides one by one, would take
    # as long as all matrix products of the attention.
    bits = np.random.SFC64(seed + stream).random_raw(-(-weights.numel() // 4)).view(np.int16)
    samples = torch.from_numpy(bits)[: weights.numel()].view_as(weights)
    threshold = round(dropout * 2**16) - 2**15
    return (samples >= threshold).to(weights.dtype).div_(1 - dropout)


def _block_size(keys: Tensor) -> int:
    """Return how many visual positions a block has, from the keys (B, hT, C)."""
    return max(BLOCK_NUMEL // (keys.shape[0] * keys.shape[1]), 1)
