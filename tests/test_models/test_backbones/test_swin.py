"""Swin against its definition, computed position by position."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from glip.models.backbones import swin_block
from glip.models.backbones.swin import PatchMerging, SwinTransformer
from glip.models.backbones.swin_block import SwinBlock, make_shift_mask

SETTINGS = dict(mlp_ratio=2, qkv_bias=True, qk_scale=None, drop=0.0, attn_drop=0.0, drop_path=0.0)


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return module.eval()


def region(index: int, size: int, window: int, shift: int) -> int:
    """Return the region of a row (or column) after the cyclic shift."""
    return 0 if index < size - window else 1 if index < size - shift else 2


def attend_slowly(block: SwinBlock, x: Tensor) -> Tensor:
    """Compute window attention of x (H, W, C) by its definition."""
    height, width, channels = x.shape
    window, shift, attn = block.window_size, block.shift, block.attn
    padded_height, padded_width = height + -height % window, width + -width % window
    padded = x.new_zeros(padded_height, padded_width, channels)
    padded[:height, :width] = x
    heads = attn.num_heads
    query, key, value = attn.qkv(padded).view(padded_height, padded_width, 3, heads, -1).unbind(2)
    scale = (channels // heads) ** -0.5
    out = torch.zeros_like(padded)
    # Where each position is after the map was moved up and left by the shift.
    moved = {
        (i, j): ((i - shift) % padded_height, (j - shift) % padded_width)
        for i, j in itertools.product(range(padded_height), range(padded_width))
    }
    for (i, j), (row, col) in moved.items():
        for head in range(heads):
            logits, values = [], []
            for (k, m), (other_row, other_col) in moved.items():
                if (row // window, col // window) != (other_row // window, other_col // window):
                    continue
                down, right = row - other_row + window - 1, col - other_col + window - 1
                bias = attn.relative_position_bias_table[down * (2 * window - 1) + right, head]
                logit = scale * query[i, j, head] @ key[k, m, head] + bias
                here = (region(row, padded_height, window, shift),
                        region(col, padded_width, window, shift))  # fmt: skip
                there = (region(other_row, padded_height, window, shift),
                         region(other_col, padded_width, window, shift))  # fmt: skip
                logits.append(logit - 100 if shift and here != there else logit)
                values.append(value[k, m, head])
            weights = torch.stack(logits).softmax(0)
            start = head * channels // heads
            out[i, j, start : start + channels // heads] = weights @ torch.stack(values)
    return attn.proj(out)[:height, :width]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((8, 4), 4),  # divides
        ((5, 6), 4),  # does not: padding takes part in attention
        ((3, 2), 5),  # smaller than the window, shifted all the same
        ((7, 3), 3),  # odd window
    ],
)
def test_attention_by_definition(size, window, shifted):
    block = SwinBlock(4, 2, window_size=window, shift=window // 2 if shifted else 0, **SETTINGS)
    randomize(block.double())
    x = torch.randn(2, *size, 4, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    mask = make_shift_mask(*size, window, x.device).double()
    with torch.no_grad():
        found = block._attend(x, mask)
        expected = torch.stack([attend_slowly(block, one) for one in block.norm1(x)])
    torch.testing.assert_close(found, expected)


def test_block_adds_both_branches():
    block = SwinBlock(4, 2, window_size=4, shift=2, **SETTINGS)
    randomize(block.double())
    x = torch.randn(1, 5, 6, 4, dtype=torch.double)
    with torch.no_grad():
        # Padding comes after the norm: a padded position is zeros, not the norm's bias.
        middle = x + attend_slowly(block, block.norm1(x[0]))
        expected = middle + block.mlp(block.norm2(middle))
        found = block(x, make_shift_mask(5, 6, 4, x.device).double())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("size", "window"), [((9, 14), 7), ((8, 8), 4), ((3, 5), 7), ((13, 6), 3)])
def test_shift_mask(size, window):
    height, width = (side + -side % window for side in size)
    shift = window // 2
    mask = make_shift_mask(*size, window, torch.device("cpu"))
    windows = itertools.product(range(0, height, window), range(0, width, window))
    expected = torch.zeros(height * width // window**2, window**2, window**2)
    for index, (top, left) in enumerate(windows):
        cells = list(itertools.product(range(top, top + window), range(left, left + window)))
        pieces = [
            (region(row, height, window, shift), region(col, width, window, shift))
            for row, col in cells
        ]
        for a, b in itertools.product(range(len(cells)), repeat=2):
            expected[index, a, b] = 0 if pieces[a] == pieces[b] else -100
    assert torch.equal(mask, expected)
    assert (mask == 0).any()
    assert (mask == -100).any()


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1)])
def test_patch_merging(size):
    """The neighbours' order: (even row, even column), (odd, even), (even, odd), (odd, odd)."""
    merge = PatchMerging(3)
    merge.norm = nn.Identity()
    merge.reduction = nn.Identity()
    x = torch.randn(2, *size, 3)
    out = merge(x)
    assert out.shape == (2, (size[0] + 1) // 2, (size[1] + 1) // 2, 12)
    for row, col in itertools.product(range(out.shape[1]), range(out.shape[2])):
        for index, (down, right) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            i, j = 2 * row + down, 2 * col + right
            inside = i < size[0] and j < size[1]
            expected = x[:, i, j] if inside else torch.zeros(2, 3)
            assert torch.equal(out[:, row, col, 3 * index : 3 * index + 3], expected)


def small(**options: object) -> SwinTransformer:
    options = (
        dict(
            embed_dims=8,
            depths=(1, 2, 1, 2),
            num_heads=(1, 2, 2, 4),
            window_size=4,
            drop_path_rate=0.0,
        )
        | options
    )
    return SwinTransformer(**options)


@pytest.mark.parametrize("size", [(64, 96), (70, 33)])
def test_feature_maps(size):
    model = randomize(small(out_indices=(1, 2, 3)))
    with torch.no_grad():
        maps = model(torch.randn(2, 3, *size))
        every = randomize(small())(torch.randn(2, 3, *size))
    sizes = [tuple(-(-side // stride) for side in size) for stride in (4, 8, 16, 32)]
    assert [tuple(one.shape[2:]) for one in maps] == sizes[1:]
    assert [one.shape[1] for one in maps] == [16, 32, 64]
    assert [tuple(one.shape[2:]) for one in every] == sizes
    # As the blocks left them: convolutions take them so, and nothing is copied.
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in maps)


def test_each_feature_map_has_its_norm():
    model = randomize(small(out_indices=(1, 3)))
    assert [name for name, _ in model.named_children() if name.startswith("norm")] == [
        "norm1",
        "norm3",
    ]
    image = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        before = model(image)
        model.norm3.bias += 1
        after = model(image)
    assert torch.equal(before[0], after[0])
    torch.testing.assert_close(before[1] + 1, after[1])


def test_every_odd_block_is_shifted():
    model = SwinTransformer(window_size=7)
    shifts = [[block.shift for block in stage.blocks] for stage in model.stages]
    assert shifts == [[0, 3], [0, 3], [0, 3, 0, 3, 0, 3], [0, 3]]


def test_drop_paths_rise():
    model = SwinTransformer(drop_path_rate=0.22)
    rates = [block.drop_path.drop_prob for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([0.02 * index for index in range(12)])


def test_attention_scale():
    assert small(qk_scale=0.3).stages[0].blocks[0].attn.scale == 0.3
    assert small().stages[3].blocks[0].attn.scale == (64 // 4) ** -0.5


@pytest.mark.parametrize("frozen_stages", [-1, 0, 1, 3])
def test_frozen_stages(frozen_stages):
    model = small(frozen_stages=frozen_stages).train()
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = [f"stages.{i}." for i in range(frozen_stages)]
    frozen += ["patch_embed."] if frozen_stages >= 0 else []
    for name, _ in model.named_parameters():
        assert (name in trainable) != any(name.startswith(start) for start in frozen)
    assert [stage.training for stage in model.stages] == [i >= frozen_stages for i in range(4)]
    assert model.patch_embed.training == (frozen_stages < 0)


def test_checkpointing_changes_nothing():
    image = torch.randn(1, 3, 40, 56)
    gradients = []
    for with_cp in (False, True):
        model = randomize(small(with_cp=with_cp)).train()
        sum(one.square().mean() for one in model(image)).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("values", [1, 1000, 3000, 2**20])
def test_chunks_change_nothing(values, monkeypatch):
    """Without gradients, windows and positions are processed in chunks, also of two images."""
    model = randomize(small()).double()
    images = torch.randn(2, 3, 50, 70, dtype=torch.double)
    expected = model(images)
    monkeypatch.setattr(swin_block, "_CHUNK_NUMEL", values)
    with torch.no_grad():
        for ours, theirs in zip(model(images), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


@torch.no_grad()
def test_no_chunks_on_other_devices(monkeypatch):
    """On other devices than the CPU each layer runs once, however small the chunks would be."""
    monkeypatch.setattr(swin_block, "_CHUNK_NUMEL", 1)
    block = SwinBlock(4, 2, window_size=4, shift=2, **SETTINGS).eval().to("meta")
    calls = []
    for part in (block.attn, block.mlp):
        part.register_forward_hook(lambda module, *_: calls.append(module))
    mask = make_shift_mask(5, 6, 4, torch.device("meta"))
    assert block(torch.empty(1, 5, 6, 4, device="meta"), mask).shape == (1, 5, 6, 4)
    assert calls == [block.attn, block.mlp]


def test_official_swin_names():
    """ImageNet files of microsoft/Swin-Transformer call the stages ``layers``."""
    source, model = randomize(small()), small(convert_weights=True)
    renamed = {
        key.replace("stages.", "layers."): value for key, value in source.state_dict().items()
    }
    assert renamed.keys() != source.state_dict().keys()
    model.load_state_dict(renamed)
    for one, other in zip(model.parameters(), source.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(RuntimeError, match="layers"):
        small().load_state_dict(renamed)


def test_alternating_sizes():
    """Each size has its own shift mask; training works after inference mode."""
    torch.manual_seed(0)
    model = SwinTransformer(embed_dims=8, depths=(2, 2), num_heads=(1, 2), out_indices=(0, 1))
    model.eval()
    images = [torch.randn(1, 3, 64, 96), torch.randn(1, 3, 72, 56)]
    with torch.inference_mode():
        first = [model(image) for image in images]
        again = [model(image) for image in images]
    for one, other in zip(first, again, strict=True):
        for map_one, map_other in zip(one, other, strict=True):
            torch.testing.assert_close(map_one, map_other, rtol=0, atol=0)
    sum(level.sum() for level in model.train()(images[1])).backward()  # after inference mode
