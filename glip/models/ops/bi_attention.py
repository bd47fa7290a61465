"""The cross-attention's two softmaxes over one logit matrix, a block of positions at a time.

The matrix is large (N x hT: 18,000 x 1,560 for a picture of 800 x 1066 pixels and the 80 names of
COCO) and used twice. Here a block of it is made, used both ways and forgotten, while it is in the
processor's cache; the softmax over all positions is collected block by block, and the backward pass
makes every block again, as FlashAttention does (Dao et al., NeurIPS 2022, sections 3.1 and B.4).

Shapes: B images, N visual positions of C channels, T text tokens, h heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Official guard against half-precision overflow of attention logits and activations.
CLAMP = 50000.0

#: Logits made at a time: 2 MB in float32, of which half a dozen are at work at once.
BLOCK = 2**19


class BlockwiseAttention(torch.autograd.Function):
    """Attend both ways; see :meth:`forward`."""

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
        """Attend.

        Args:
            ctx: what the backward pass will need.
            visual: (B, N, C).
            keys: (B, hT, C), of all heads and tokens, in the image's channels.
            offset: (B, 1, hT), added to the logits.
            values: (B, hT, C).
            mask: (B, T) bool, true on real tokens.
            num_heads: h.
            dropout: of the attention weights.

        Returns:
            what the image reads, (B, N, C); what each head and token reads, (B, hT, C), as a mean
            of the image's own channels; and the sums of the weights it is read with, (B, hT).
        """
        exact = torch.promote_types(keys.dtype, torch.float32)
        highest = torch.full_like(offset, -torch.inf, dtype=exact)  # (B, 1, hT), so far
        total = torch.zeros_like(highest)
        kept = torch.zeros_like(highest)
        mixed = torch.zeros_like(keys, dtype=exact)
        seed = int(torch.randint(2**31, ())) if dropout else 0
        read = []
        for number, block in enumerate(visual.split(_positions(keys), dim=1)):
            logits = make_logits(block, keys, offset).clamp_(-CLAMP, CLAMP)
            to_text = over_tokens(logits, mask, num_heads)
            before, highest = highest, torch.maximum(highest, logits.amax(dim=1, keepdim=True))
            shrink = (before - highest).exp()
            # The official clamp of this difference at -50,000 changes nothing: both give exactly 0.
            weights = (logits - highest).exp_()
            total = total * shrink + weights.sum(dim=1, keepdim=True)
            if dropout:
                to_text *= keep(to_text, dropout, seed, 2 * number)
                weights *= keep(weights, dropout, seed, 2 * number + 1)
                kept = kept * shrink + weights.sum(dim=1, keepdim=True)
            read.append(to_text @ values)
            mixed = mixed * shrink.mT + weights.to(block.dtype).mT @ block
        mixed = mixed / total.mT
        kept = (kept / total if dropout else torch.ones_like(total))[:, 0]
        ctx.save_for_backward(visual, keys, offset, values, mask, highest, total, mixed, kept)
        ctx.settings = num_heads, dropout, seed
        return torch.cat(read, dim=1), mixed, kept

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, grad_read: Tensor, grad_mixed: Tensor, grad_kept: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of visual, keys, offset and values."""
        visual, keys, offset, values, mask, highest, total, mixed, kept = ctx.saved_tensors
        num_heads, dropout, seed = ctx.settings
        # What a softmax subtracts from its gradient, for the one over all positions.
        mean = ((mixed * grad_mixed).sum(-1) + kept * grad_kept)[:, None]  # (B, 1, hT)
        grad_visual = torch.empty_like(visual)
        grad_keys, grad_values = torch.zeros_like(keys), torch.zeros_like(values)
        grad_offset = torch.zeros_like(offset)
        at_a_time = _positions(keys)
        parts = (each.split(at_a_time, dim=1) for each in (visual, grad_read, grad_visual))
        for number, (block, grad_block, grad_out) in enumerate(zip(*parts, strict=True)):
            raw = make_logits(block, keys, offset)
            logits = raw.clamp(-CLAMP, CLAMP)
            to_text = over_tokens(logits, mask, num_heads)
            grad_text = grad_block @ values.mT
            to_image = logits.sub_(highest).exp_().div_(total)
            grad_image = torch.baddbmm(grad_kept[:, None], block, grad_mixed.mT)
            read_with, mixed_with = to_text, to_image
            if dropout:
                kept_text = keep(to_text, dropout, seed, 2 * number)
                kept_image = keep(to_image, dropout, seed, 2 * number + 1)
                read_with, mixed_with = to_text * kept_text, to_image * kept_image
                grad_text *= kept_text
                grad_image *= kept_image
            grad_values += read_with.mT @ grad_block
            grad_text *= to_text
            heads = (num_heads, -1)
            share = grad_text.unflatten(2, heads).sum(-1, keepdim=True)
            share = to_text.unflatten(2, heads) * share
            grad_logits = grad_text.sub_(share.flatten(2))
            grad_logits.addcmul_(to_image, grad_image.sub_(mean))
            grad_logits.masked_fill_(raw.abs_() > CLAMP, 0)
            grad_out.copy_(torch.baddbmm(mixed_with @ grad_mixed, grad_logits, keys))
            grad_keys += grad_logits.mT @ block
            grad_offset += grad_logits.sum(dim=1, keepdim=True)
        return grad_visual, grad_keys, grad_offset, grad_values, None, None, None


def make_logits(visual: Tensor, keys: Tensor, offset: Tensor) -> Tensor:
    """(B, n, C), (B, hT, C) and (B, 1, hT) -> (B, n, hT), before the clamp."""
    return torch.baddbmm(offset, visual, keys.mT)


def over_tokens(logits: Tensor, mask: Tensor, num_heads: int) -> Tensor:
    """(B, n, hT) logits -> how much each position takes of each token of each head, (B, n, hT)."""
    # The official code fills in -9e15, which half precision has not; both give exactly 0.
    lowest = torch.finfo(logits.dtype).min
    logits = logits.unflatten(2, (num_heads, -1))
    return logits.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1).flatten(2)


def keep(weights: Tensor, dropout: float, seed: int, number: int) -> Tensor:
    """What dropout multiplies some weights by: the same for the same seed and number.

    Args:
        weights: of any shape.
        dropout: probability of 0; else it is 1 / (1 - dropout).
        seed: of a forward pass.
        number: of what is dropped in it.
    """
    # Of each 64 random bits four weights are decided. torch's generator, which decides one by one,
    # would take as long for them as all products of the attention.
    bits = np.random.SFC64(seed + number).random_raw(-(-weights.numel() // 4)).view(np.int16)
    drawn = torch.from_numpy(bits)[: weights.numel()].view_as(weights)
    least = round(dropout * 2**16) - 2**15
    return (drawn >= least).to(weights.dtype).div_(1 - dropout)


def _positions(keys: Tensor) -> int:
    """How many positions a block has."""
    return max(BLOCK // (keys.shape[0] * keys.shape[1]), 1)
