"""Cross-attention in all its forms against the official computation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glip.models.fusion import BiAttention, BiAttentionBlock
from glip.models.ops import bi_attention, blockwise_attention, set_fused_ops

B, N, T, C, D, E, HEADS = 2, 21, 7, 6, 10, 24, 3


def textbook(attn: BiAttention, visual: Tensor, text: Tensor, mask: Tensor) -> tuple:
    """The official computation, with every projection made (microsoft/GLIP, fuse_helper.py)."""

    def split(x: Tensor) -> Tensor:
        return x.view(B, -1, HEADS, E // HEADS).transpose(1, 2)

    query = split(attn.v_proj(visual) * (E // HEADS) ** -0.5)
    key = split(attn.l_proj(text))
    values_v, values_l = split(attn.values_v_proj(visual)), split(attn.values_l_proj(text))
    logits = (query @ key.transpose(2, 3)).clamp(-50000, 50000)  # (B, h, N, T)
    from_text = logits.transpose(2, 3)
    from_text = from_text - from_text.max(dim=-1, keepdim=True).values
    from_text = from_text.clamp(-50000, 50000).softmax(dim=-1)
    from_image = logits.masked_fill(~mask[:, None, None, :], -9e15).softmax(dim=-1)
    from_image, from_text = (F.dropout(one, attn.dropout) for one in (from_image, from_text))
    updates = from_image @ values_l, from_text @ values_v
    merged = [one.transpose(1, 2).reshape(B, -1, E) for one in updates]
    return attn.out_v_proj(merged[0]), attn.out_l_proj(merged[1])


def fixed_dropout(x: Tensor, _: float) -> Tensor:
    """Drop the same weights wherever they stand: their own digits decide."""
    return x * ((x.detach() * 1e6).floor() % 3 > 0) * 1.5


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    attn = BiAttention(C, D, embed_dim=E, num_heads=HEADS, dropout=0.0).double()
    for parameter in attn.parameters():
        nn.init.normal_(parameter)
    visual = torch.randn(B, N, C, dtype=torch.double, requires_grad=True)
    text = torch.randn(B, T, D, dtype=torch.double, requires_grad=True)
    mask = torch.ones(B, T, dtype=torch.bool)
    mask[1, 4:] = False
    return attn, visual, text, mask


def gradients(outputs: tuple, *sources: Tensor) -> tuple:
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (one * torch.randn(one.shape, generator=generator, dtype=one.dtype)).sum()
        for one in outputs
    )
    return torch.autograd.grad(total, sources)


def assert_all_close(ours: tuple, theirs: tuple) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


@pytest.fixture(params=["plain", "blockwise", "at once"])
def form(request, monkeypatch):
    """The plain form, the fused one of a CPU and the fused one of other devices."""
    at_once = bi_attention.attend_at_once
    calls = []
    monkeypatch.setattr(bi_attention, "attend_at_once", lambda *x: calls.append(1) or at_once(*x))
    if request.param == "at once":
        monkeypatch.setattr(bi_attention, "is_autocast_enabled", lambda _: True)
    else:
        monkeypatch.setattr(blockwise_attention, "BLOCK_NUMEL", 5 * B * HEADS * T)
    set_fused_ops(request.param != "plain")
    yield request.param
    set_fused_ops(True)
    assert bool(calls) == (request.param == "at once")


def test_official_computation(inputs, form):
    attn, visual, text, mask = inputs
    ours, theirs = attn(visual, text, mask), textbook(attn, visual, text, mask)
    assert_all_close(ours, theirs)
    sources = (visual, text, *attn.parameters())
    assert_all_close(gradients(ours, *sources), gradients(theirs, *sources))


@pytest.mark.parametrize("form", ["plain", "at once"], indirect=True)
def test_official_computation_with_dropout(inputs, form, monkeypatch):
    """The weights no longer sum to 1, so the values' biases must be multiplied by their sums."""
    attn, visual, text, mask = inputs
    monkeypatch.setattr(F, "dropout", fixed_dropout)
    ours, theirs = (f(visual, text, mask) for f in (attn, lambda *x: textbook(attn, *x)))
    assert_all_close(ours, theirs)
    sources = (visual, text, *attn.parameters())
    assert_all_close(gradients(ours, *sources), gradients(theirs, *sources))


def test_large_logits(inputs, form):
    """Beyond the clamp all logits are equal and give no gradient."""
    attn, visual, text, mask = inputs
    with torch.no_grad():
        attn.v_proj.weight *= 1e4
        query, key = (
            x.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for x in (attn.v_proj(visual), attn.l_proj(text))
        )
        logits = query @ key.mT * (E // HEADS) ** -0.5
    assert (logits.abs() > 50000).any()
    assert (logits.abs() < 50000).any()
    ours, theirs = attn(visual, text, mask), textbook(attn, visual, text, mask)
    assert_all_close(ours, theirs)
    assert_all_close(gradients(ours, visual, text), gradients(theirs, visual, text))


def test_padding_changes_nothing(inputs):
    attn, visual, text, _ = inputs
    mask = torch.ones(B, T, dtype=torch.bool)
    longer = torch.cat([text, torch.randn(B, 5, D, dtype=torch.double)], dim=1)
    padded = torch.cat([mask, torch.zeros(B, 5, dtype=torch.bool)], dim=1)
    visual_update, text_update = attn(visual, longer, padded)
    assert_all_close((visual_update, text_update[:, :T]), attn(visual, text, mask))
    with pytest.raises(AssertionError):  # and the mask is what does it
        torch.testing.assert_close(
            attn(visual, longer, torch.ones_like(padded))[0], attn(visual, text, mask)[0]
        )


def test_residual_is_added_to_the_normalised_input(inputs):
    _, _, text, mask = inputs
    torch.manual_seed(2)
    block = BiAttentionBlock(C, D, embed_dim=E, num_heads=HEADS, dropout=0.0).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    levels = [torch.randn(B, C, *size, dtype=torch.double) for size in ((3, 5), (2, 2), (1, 2))]
    fused, fused_text = block(levels, text, mask)

    visual = torch.cat([level.flatten(2).mT for level in levels], dim=1)
    visual, words = block.layer_norm_v(visual), block.layer_norm_l(text)
    visual_update, text_update = textbook(block.attn, visual, words, mask)
    torch.testing.assert_close(fused_text, words + block.gamma_l * text_update)
    expected = visual + block.gamma_v * visual_update
    assert [level.shape for level in fused] == [level.shape for level in levels]
    torch.testing.assert_close(torch.cat([level.flatten(2).mT for level in fused], 1), expected)


def test_initialisation():
    block = BiAttentionBlock(C, D, embed_dim=E, num_heads=HEADS, init_values=0.25)
    assert (block.gamma_v == 0.25).all()
    assert (block.gamma_l == 0.25).all()
    assert block.attn.v_proj.bias.eq(0).all()
    limit = (6 / (C + E)) ** 0.5  # Xavier's
    assert 0.8 * limit < block.attn.v_proj.weight.abs().max() <= limit
    with pytest.raises(ValueError, match="divisible by num_heads=5, got 24"):
        BiAttention(C, D, embed_dim=E, num_heads=5, dropout=0.0)
