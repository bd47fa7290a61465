"""Token logits against their formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glip.models.heads.token_logits import TokenLogits

DIM, CHANNELS, TOKENS = 12, 6, 5


@pytest.fixture
def module():
    torch.manual_seed(0)
    module = TokenLogits(DIM, CHANNELS)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def test_formula(module):
    level, text = torch.randn(2, CHANNELS, 3, 4), torch.randn(2, TOKENS, DIM)
    with torch.no_grad():
        found = module(level, *module.project(text))
        assert found.shape == (2, 12, TOKENS)
        weight, offset = module.projection.weight, module.projection.bias
        for image, row, col, token in torch.cartesian_prod(
            torch.arange(2), torch.arange(3), torch.arange(4), torch.arange(TOKENS)
        ).tolist():
            embedding = text[image, token] / text[image, token].norm()
            word = weight @ (embedding / 2) + offset
            logit = level[image, :, row, col] @ word / module.log_scale.exp()
            logit = logit + embedding @ module.bias_lang + module.bias0
            torch.testing.assert_close(found[image, 4 * row + col, token, None], logit)


def test_length_of_the_features_does_not_matter(module):
    text = torch.randn(1, TOKENS, DIM)
    for one, other in zip(module.project(text), module.project(7 * text), strict=True):
        torch.testing.assert_close(one, other)


def test_padding_at_zero(module):
    """Features of zero have no direction; they must not become NaN."""
    words, bias = module.project(torch.zeros(1, TOKENS, DIM))
    expected = module.projection.bias / module.log_scale.exp()
    torch.testing.assert_close(words, expected.expand(1, TOKENS, CHANNELS))
    torch.testing.assert_close(bias, module.bias0.expand(1, TOKENS))


def test_clamp(module):
    words, bias = module.project(torch.randn(1, TOKENS, DIM))
    logits = module(1e6 * torch.randn(1, CHANNELS, 4, 4), words, bias)
    assert logits.abs().max() == 50000
    assert (logits.abs() < 50000).any() or logits.unique().numel() == 2


def test_initialisation():
    """An untrained position gives every token the probability 0.01."""
    module = TokenLogits(DIM, CHANNELS)
    logits = module(torch.zeros(1, CHANNELS, 2, 2), *module.project(torch.randn(1, TOKENS, DIM)))
    torch.testing.assert_close(logits.sigmoid(), torch.full((1, 4, TOKENS), 0.01))
