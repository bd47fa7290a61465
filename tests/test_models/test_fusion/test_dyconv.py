"""DyConv and DyReLU against the text of spec and papers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from glip.models.fusion import DyConv, DyReLU

CHANNELS = 16


@pytest.fixture
def block():
    torch.manual_seed(0)
    block = DyConv(CHANNELS)
    for name, parameter in block.named_parameters():
        nn.init.normal_(parameter, std=1.0 if "offset" in name else 0.3)
    return block.eval()


def levels_of(*sizes: tuple[int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, CHANNELS, *size, generator=generator) for size in sizes]


def dyrelu(module: DyReLU, x: Tensor) -> Tensor:
    hidden = module.fc[0](x.mean((2, 3))).relu()
    theta = F.relu6(module.fc[2](hidden) + 3) / 6  # h-sigmoid
    a1, b1, a2, b2 = theta[..., None, None].split(CHANNELS, dim=1)
    line1 = x * ((a1 - 0.5) * 2 + 1) + b1 - 0.5
    line2 = x * ((a2 - 0.5) * 2) + b2 - 0.5
    return torch.max(line1, line2)


def by_definition(block: DyConv, levels: list[Tensor]) -> list[Tensor]:
    def conv(part: nn.Module, x: Tensor, offset: Tensor, mask: Tensor, stride: int = 1) -> Tensor:
        size = [-(-side // stride) for side in x.shape[2:]]
        count = size[0] * size[1]
        offset = torch.stack([one.flatten()[: 18 * count].view(18, *size) for one in offset])
        mask = torch.stack([one.flatten()[: 9 * count].view(9, *size) for one in mask])
        weight, bias = part.conv.weight, part.conv.bias
        x = deform_conv2d(x, offset, weight, bias, stride=stride, padding=1, mask=mask)
        return F.group_norm(x, 16, part.gn.weight, part.gn.bias, eps=1e-5)

    out = []
    for index, here in enumerate(levels):
        taps = F.conv2d(here, block.offset.weight, block.offset.bias, padding=1)
        offset, mask = taps[:, :18], taps[:, 18:].sigmoid()
        found = [conv(block.same, here, offset, mask)]
        if index > 0:
            found.append(conv(block.finer, levels[index - 1], offset, mask, stride=2))
        if index < len(levels) - 1:
            coarser = conv(block.coarser, levels[index + 1], offset, mask)
            size = tuple(here.shape[2:])
            found.append(F.interpolate(coarser, size, mode="bilinear", align_corners=True))
        weighted = []
        for x in found:
            score = block.scale_attention(x.mean((2, 3), keepdim=True)).relu()
            weighted.append(x * (score / 6 + 0.5).clamp(0, 1))
        out.append(dyrelu(block.relu, torch.stack(weighted).mean(0)))
    return out


@pytest.mark.parametrize(
    "sizes",
    [
        [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)],
        [(8, 12), (4, 6), (2, 3)],
        [(4, 4), (2, 2), (1, 1), (1, 1), (1, 1)],  # an image of 32 x 32 pixels
        [(5, 3)],
    ],
)
def test_by_definition(block, sizes):
    levels = levels_of(*sizes)
    with torch.no_grad():
        found, expected = block(levels), by_definition(block, levels)
    assert [tuple(level.shape[2:]) for level in found] == sizes
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_every_part_matters(block):
    """Every parameter has a gradient."""
    levels = levels_of((13, 10), (7, 5), (4, 3))
    sum(level.square().sum() for level in block(levels)).backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_dyrelu():
    torch.manual_seed(0)
    module = DyReLU(CHANNELS)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = 3 * torch.randn(2, CHANNELS, 5, 4)
    with torch.no_grad():
        torch.testing.assert_close(module(x), dyrelu(module, x))
        # With theta = 1/2 everywhere it is max(x, 0).
        for parameter in module.fc[2].parameters():
            nn.init.zeros_(parameter)
        torch.testing.assert_close(module(x), x.relu())


def test_start():
    torch.manual_seed(0)
    block = DyConv(CHANNELS)
    for conv in (block.same.conv, block.offset, block.scale_attention):
        assert conv.bias.eq(0).all()
        assert 0 < conv.weight.abs().max() < 0.06  # normal, std 0.01
    assert block.same.gn.num_groups == 16
