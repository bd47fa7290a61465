"""The pyramid against its definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glip.models import FPN, FPNDropBlock

CHANNELS = (4, 6, 8)


def maps_of(height: int, width: int) -> list[Tensor]:
    """The maps of strides 8, 16, 32 of an image."""
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(2, channels, -(-height // s), -(-width // s), generator=generator)
        for channels, s in zip(CHANNELS, (8, 16, 32), strict=True)
    ]


@pytest.mark.parametrize("size", [(64, 96), (200, 328), (32, 32), (232, 40)])
def test_by_definition(size):
    torch.manual_seed(0)
    neck = FPN(CHANNELS, 5)
    state, maps = neck.state_dict(), maps_of(*size)

    def conv(x: Tensor, name: str, **options: int) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def enlarged(x: Tensor, like: Tensor) -> Tensor:
        """Nearest: position i of H shows position floor(i h / H) of h."""
        rows = torch.arange(like.shape[2]) * x.shape[2] // like.shape[2]
        cols = torch.arange(like.shape[3]) * x.shape[3] // like.shape[3]
        return x[:, :, rows][..., cols]

    c3, c4, c5 = (conv(one, f"inner_blocks.{index}.0") for index, one in enumerate(maps))
    m4 = c4 + enlarged(c5, c4)
    m3 = c3 + enlarged(m4, c3)
    p3, p4, p5 = (
        conv(one, f"layer_blocks.{index}.0", padding=1) for index, one in enumerate((m3, m4, c5))
    )
    p6 = conv(p5, "extra_blocks.p6", stride=2, padding=1)  # of the output, not of the map
    p7 = conv(p6.relu(), "extra_blocks.p7", stride=2, padding=1)

    levels = neck(maps)
    assert len(levels) == 5
    for level, expected in zip(levels, (p3, p4, p5, p6, p7), strict=True):
        torch.testing.assert_close(level, expected)
    sizes = [tuple(-(-side // stride) for side in size) for stride in (8, 16, 32, 64, 128)]
    assert [tuple(level.shape[2:]) for level in levels] == sizes


def test_drop_block_in_evaluation():
    torch.manual_seed(0)
    neck, dropping = FPN(CHANNELS, 5).eval(), FPNDropBlock(CHANNELS, 5).eval()
    dropping.load_state_dict(neck.state_dict())  # the same parameters under the same names
    for one, other in zip(neck(maps_of(64, 96)), dropping(maps_of(64, 96)), strict=True):
        assert torch.equal(one, other)


def test_drop_block_in_training():
    torch.manual_seed(0)
    neck = FPNDropBlock(CHANNELS, 5, drop_prob=0.3, block_size=3).train()
    maps = maps_of(256, 256)
    kept = neck.eval()(maps)
    dropped = neck.train()(maps)
    differs = [not torch.equal(one, other) for one, other in zip(kept, dropped, strict=True)]
    # The merged maps of P3 and P4 are dropped; P5 and what follows from it are not.
    assert differs == [True, True, False, False, False]
    assert (neck.drop.p, neck.drop.block_size) == (0.3, 3)


def test_start_level():
    torch.manual_seed(0)
    neck = FPN((2, *CHANNELS), 5, start_level=1)
    maps = maps_of(64, 96)
    more = neck([torch.randn(2, 2, 16, 24), *maps])
    plain = FPN(CHANNELS, 5)
    plain.load_state_dict(neck.state_dict())
    for one, other in zip(more, plain(maps), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [FPN, FPNDropBlock])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(num_outs=4), "num_outs=5, got 4"),
        (dict(start_level=1), "num_outs=4, got 5"),
        (dict(add_extra_convs="on_input"), "'on_input'"),
        (dict(relu_before_extra_convs=False), "got 'on_output' and False"),
    ],
)
def test_options_that_glip_does_not_use(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(CHANNELS, 5, **options)
