"""Modulated deformable convolution with the official reading of its offsets.

Shapes: B images, C channels in and K out; the input is H x W, the output H' x W' with P positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d

#: Positions sampled at a time on the CPU: their 9C values stay in the processor's cache.
_BLOCK = 1024


def modulated_deform_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1
) -> Tensor:
    """3x3 modulated deformable convolution (DCNv2), padding 1.

    On a CPU it gathers with ``embedding_bag``, which uses all cores: twice as fast as torchvision's
    kernel forward and seven times forward and backward. Elsewhere torchvision's kernel runs.

    Args:
        x: (B, C, H, W).
        offset: (B, 18, h, w), y and x of each of the nine taps, in pixels of ``x``.
        mask: (B, 9, h, w), the weight of each tap.
        weight: (K, C, 3, 3).
        bias: (K,).
        stride: of the output.

    Offsets and masks need not have the output's size, only at least as many values: see
    :func:`reread`.

    Returns:
        (B, K, H', W'), float32: it is computed in float32 under autocast too.
    """
    height, width = ((size - 1) // stride + 1 for size in x.shape[-2:])
    offset, mask = reread(offset, height, width), reread(mask, height, width)
    # Half precision cannot tell positions apart: 130.3 pixels are 130.5 in bfloat16.
    with torch.autocast(x.device.type, enabled=False):
        x, offset, mask, weight, bias = (t.float() for t in (x, offset, mask, weight, bias))
        if x.device.type == "cpu":
            return _gather_conv(x, offset, mask, weight, bias, stride)
        return deform_conv2d(x, offset, weight, bias, stride=stride, padding=1, mask=mask)


def reread(values: Tensor, height: int, width: int) -> Tensor:
    """Read (B, k, h, w) as (B, k, ``height``, ``width``): each image's memory from its start.

    DyHead gives the convolution of the coarser level the offsets of the finer one. The official
    kernels do not check sizes: they walk the larger tensor's memory with the smaller strides, and
    the released weights were trained that way (microsoft/GLIP, ``deform_conv_cuda.cu``).

    Raises:
        ValueError: the tensor has fewer values than the output needs.
    """
    channels = values.shape[1]
    needed = channels * height * width
    if values.shape[-2:] == (height, width):
        return values
    if values[0].numel() < needed:
        raise ValueError(
            f"offsets or masks for a {height} x {width} output need at least {needed} values an "
            f"image, got {tuple(values.shape[1:])}"
        )
    return values.flatten(1)[:, :needed].view(-1, channels, height, width)


def _gather_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Tensor:
    """The convolution as a gather of channel rows and a matrix product."""
    batch, channels, height, width = x.shape
    corners, weights = _corners(offset, mask, (height, width), stride)  # (B * P * 9, 4)
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)  # (B * H * W, C)
    if weights.requires_grad and not rows.requires_grad:
        # Below a frozen backbone: torch 2.1's embedding_bag fails on gradients to weights alone.
        rows = rows.detach().requires_grad_()
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (9C, K)
    sources = list(zip(corners.split(9 * _BLOCK), weights.split(9 * _BLOCK), strict=True))
    if torch.is_grad_enabled():
        blocks = [_gather_product(index, rows, share, matrix, bias) for index, share in sources]
        out = torch.cat(blocks)
    else:
        out = rows.new_empty(len(corners) // 9, len(bias))
        for (index, share), block in zip(sources, out.split(_BLOCK), strict=True):
            torch.addmm(bias, _gather(index, rows, share), matrix, out=block)
    return out.view(batch, *offset.shape[-2:], -1).permute(0, 3, 1, 2)


def _gather(index: Tensor, rows: Tensor, share: Tensor) -> Tensor:
    """(9P', 4), (B * H * W, C) and (9P', 4) -> (P', 9C), the taps of each position."""
    taps = F.embedding_bag(index, rows, mode="sum", per_sample_weights=share)
    return taps.view(-1, 9 * rows.shape[1])


def _gather_product(
    index: Tensor, rows: Tensor, share: Tensor, matrix: Tensor, bias: Tensor
) -> Tensor:
    """Gather the nine taps of some positions and multiply them.

    For the backward pass they are gathered again: kept, they would be the largest part of what a
    training keeps, a third of it in GLIP-T (A).

    Args:
        index, share: of the positions' taps, (9P', 4).
        rows: (B * H * W, C).
        matrix: (9C, K).
        bias: (K,).

    Returns:
        (P', K).
    """
    taps = _gather(index, rows, share)
    place, sources = taps.data_ptr(), (rows.detach(), share.detach())

    def pack(saved: Tensor) -> Tensor | None:
        return None if saved.data_ptr() == place else saved

    def unpack(saved: Tensor | None) -> Tensor:
        return _gather(index, *sources) if saved is None else saved

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return torch.addmm(bias, taps, matrix)


def _corners(
    offset: Tensor, mask: Tensor, size: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor]:
    """For every sampled point the four pixels around it and how much each counts.

    Args:
        offset: (B, 18, H', W').
        mask: (B, 9, H', W').
        size: (H, W).
        stride: of the output.

    Returns:
        rows of the flattened input and their weights, both (B * P * 9, 4), position by position,
        the nine taps row first. Pixels outside count 0.
    """
    height, width = size
    batch, _, out_height, out_width = offset.shape
    grid = {"device": offset.device, "dtype": offset.dtype}
    tap = torch.arange(3, **grid)
    top = torch.arange(out_height, **grid)[:, None, None, None] * stride - 1 + tap[:, None]
    left = torch.arange(out_width, **grid)[:, None, None] * stride - 1 + tap
    moves = offset.permute(0, 2, 3, 1).reshape(batch, out_height, out_width, 3, 3, 2)
    y, x = moves[..., 0] + top, moves[..., 1] + left  # (B, H', W', 3, 3)
    # What is no number has no place; it still counts as no number, so that a loss shows it.
    y0, x0 = (each.detach().nan_to_num().floor() for each in (y, x))
    down, right = y - y0, x - x0
    shares = torch.stack(
        [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], dim=-1
    )
    shares = shares * mask.permute(0, 2, 3, 1).unflatten(-1, (3, 3))[..., None]
    rows = torch.stack([y0, y0, y0 + 1, y0 + 1], dim=-1)
    cols = torch.stack([x0, x0 + 1, x0, x0 + 1], dim=-1)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    pixels = rows.clamp(0, height - 1).long() * width + cols.clamp(0, width - 1).long()
    image = torch.arange(batch, device=offset.device).view(-1, 1, 1, 1, 1, 1)
    pixels = pixels + image * (height * width)
    return pixels.view(-1, 4), torch.where(inside, shares, 0).view(-1, 4)
