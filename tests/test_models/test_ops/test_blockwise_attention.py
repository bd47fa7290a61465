"""Blockwise attention against all positions at once, forward and backward, with dropout."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glip.models.ops import blockwise_attention
from glip.models.ops.blockwise_attention import (
    CLAMP,
    BlockwiseAttention,
    compute_logits,
    dropout_factors,
    softmax_over_tokens,
)

B, N, C, T, HEADS = 2, 13, 4, 3, 2


def draw(dtype: torch.dtype = torch.double) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((B, N, C), (B, HEADS * T, C), (B, 1, HEADS * T), (B, HEADS * T, C))
    drawn = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return tuple(each.requires_grad_() for each in drawn)


MASK = torch.tensor([[True, True, True], [True, True, False]])


def at_once(
    visual: Tensor, keys: Tensor, offset: Tensor, values: Tensor, kept: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    logits = compute_logits(visual, keys, offset).clamp(-CLAMP, CLAMP)
    to_text = softmax_over_tokens(logits, MASK, HEADS) * kept[0]
    to_image = logits.softmax(dim=1) * kept[1]
    return to_text @ values, to_image.mT @ visual, to_image.sum(1)


@pytest.mark.parametrize("positions", [1, 4, 13, 100])
def test_gradients(positions, monkeypatch):
    monkeypatch.setattr(blockwise_attention, "BLOCK_NUMEL", positions * B * HEADS * T)
    tensors = draw()
    ours = BlockwiseAttention.apply(*tensors, MASK, HEADS, 0.0)
    ones = torch.ones(B, N, HEADS * T, dtype=torch.double)
    for one, other in zip(ours, at_once(*tensors, (ones, ones)), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(
        lambda *x: BlockwiseAttention.apply(*x, MASK, HEADS, 0.0), tensors
    )


def test_dropout(monkeypatch):
    """The backward pass drops the weights that the forward pass dropped."""
    monkeypatch.setattr(blockwise_attention, "BLOCK_NUMEL", 5 * B * HEADS * T)
    tensors = draw()
    torch.manual_seed(3)
    ours = BlockwiseAttention.apply(*tensors, MASK, HEADS, 0.4)
    torch.manual_seed(3)
    seed = int(torch.randint(2**31, ()))
    like = [torch.empty(B, n, HEADS * T, dtype=torch.double) for n in (5, 5, 3)]
    kept = [
        torch.cat(
            [dropout_factors(each, 0.4, seed, 2 * at + which) for at, each in enumerate(like)],
            dim=1,
        )
        for which in (0, 1)
    ]
    assert {0.0, 1 / 0.6} == set(kept[0].unique().tolist()) == set(kept[1].unique().tolist())
    assert not torch.equal(*kept)
    theirs = at_once(*tensors, kept)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    weights = [torch.randn(each.shape, dtype=torch.double) for each in ours]
    found, expected = (
        torch.autograd.grad(sum((a * w).sum() for a, w in zip(out, weights, strict=True)), tensors)
        for out in (ours, theirs)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.99])
def test_dropout_rate(dropout):
    kept = dropout_factors(torch.empty(1, 1000, 1001), dropout, 5, 0)
    share = (kept == 0).float().mean().item()
    assert abs(share - dropout) < 5 * (dropout * (1 - dropout) / kept.numel()) ** 0.5 + 2**-16
    assert abs(kept.mean().item() - 1) < 0.02
    # Neighbours are decided independently, also those of the same 64 bits.
    both = ((kept[..., 1:] == 0) & (kept[..., :-1] == 0)).float().mean().item()
    assert abs(both - dropout**2) < 0.002


def test_dropout_follows_the_seed():
    tensors = draw()
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(BlockwiseAttention.apply(*tensors, MASK, HEADS, 0.4)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_float32_is_exact_enough():
    """Sums over many blocks, with a logit that rises in each."""
    visual, keys, offset, values = draw(torch.float32)
    visual = visual.repeat(1, 500, 1) * torch.linspace(0, 20, 500 * N)[:, None]
    found = BlockwiseAttention.apply(visual, keys, offset, values, MASK, HEADS, 0.0)
    exact = BlockwiseAttention.apply(
        *(each.double() for each in (visual, keys, offset, values)), MASK, HEADS, 0.0
    )
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


def test_no_saved_tensor_is_as_large_as_the_logits():
    visual = torch.randn(1, 4000, 8, requires_grad=True)
    keys = torch.randn(1, 64, 8)
    saved: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x.numel()) or x, id):
        BlockwiseAttention.apply(
            visual, keys, torch.zeros(1, 1, 64), keys, torch.ones(1, 32, dtype=torch.bool), 2, 0.1
        )
    assert max(saved) < 4000 * 64
