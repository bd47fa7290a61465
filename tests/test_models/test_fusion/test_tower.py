"""The tower: the order of its blocks' parts, and what it does without fusion."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glip.models.fusion import FusionTower

CHANNELS, DIM, BLOCKS = 16, 12, 2
SIZES = ((6, 5), (3, 3), (2, 2))


def make(early_fuse: bool, **options: object) -> FusionTower:
    torch.manual_seed(0)
    tower = FusionTower(
        CHANNELS, DIM, num_blocks=BLOCKS, early_fuse=early_fuse, num_text_heads=3,
        text_intermediate_dim=20, fusion_dim=24, num_fusion_heads=2, **options,
    )  # fmt: skip
    for parameter in tower.parameters():
        nn.init.normal_(parameter, std=0.3)
    return tower.eval()


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    levels = [torch.randn(2, CHANNELS, *size) for size in SIZES]
    return levels, torch.randn(2, 5, DIM), torch.arange(5) < torch.tensor([[5], [3]])


def test_order_of_the_parts(inputs):
    levels, text, mask = inputs
    tower = make(early_fuse=True)
    with torch.no_grad():
        found, found_text = tower(levels, text, mask)
        for block in tower.blocks:
            levels, text = block.fusion(levels, text, mask)
            text = block.text_layer(text, mask)
            levels = block.dyconv(levels)
    assert torch.equal(found_text, text)
    for one, other in zip(found, levels, strict=True):
        assert torch.equal(one, other)


def test_without_fusion(inputs):
    levels, text, mask = inputs
    tower = make(early_fuse=False)
    assert not [name for name, _ in tower.named_parameters() if ".dyconv." not in name]
    with torch.no_grad():
        found, found_text = tower(levels, text, mask)
        seen = tower.forward_visual(levels)
        for block in tower.blocks:
            levels = block.dyconv(levels)
    assert found_text is text
    for one, other, third in zip(found, levels, seen, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)


def test_padding_changes_nothing(inputs):
    levels, text, _ = inputs
    tower = make(early_fuse=True)
    mask = torch.ones(2, 5, dtype=torch.bool)
    longer = torch.cat([text, torch.randn(2, 4, DIM)], dim=1)
    padded = torch.cat([mask, torch.zeros(2, 4, dtype=torch.bool)], dim=1)
    with torch.no_grad():
        alone, alone_text = tower(levels, text, mask)
        found, found_text = tower(levels, longer, padded)
    torch.testing.assert_close(found_text[:, :5], alone_text)
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one, other)


def test_recomputing_changes_nothing(inputs):
    levels, text, mask = inputs
    gradients = []
    for use_checkpoint in (False, True):
        tower = make(early_fuse=True, use_checkpoint=use_checkpoint, dropout=0.0).train()
        found, found_text = tower(levels, text, mask)
        (sum(level.square().sum() for level in found) + found_text.square().sum()).backward()
        gradients.append({name: p.grad for name, p in tower.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_scale_of_the_residuals():
    tower = FusionTower(CHANNELS, 12, num_blocks=4, num_text_heads=2)
    assert (tower.blocks[0].fusion.gamma_v == 0.25).all()
