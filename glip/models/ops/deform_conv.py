"""Modulated deformable convolution (DCNv2) with the official reading of its offsets.

Shapes: B images, C input and K output channels; the input is H x W, the output H' x W'.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import deform_conv2d

from glip.models.ops.fused_ops import use_fused_ops

#: Output positions per block on the CPU: their 9C sampled values stay in the CPU's cache.
_BLOCK_SIZE = 1024


def modulated_deform_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, *, stride: int = 1
) -> Tensor:
    """Compute a 3x3 modulated deformable convolution with padding 1.

    The plain form is torchvision's kernel. The fused form gathers with ``embedding_bag`` on a CPU,
    which uses all cores: twice as fast as torchvision's kernel in the forward pass, seven times in
    forward and backward together. On other devices it is torchvision's kernel too.

    Offsets and masks may be larger than the output, see :func:`reinterpret_size`.

    Args:
        x: (B, C, H, W).
        offset: (B, 18, h, w), y and x of each of the nine taps, in pixels of ``x``.
        mask: (B, 9, h, w), the modulation of each tap.
        weight: (K, C, 3, 3).
        bias: (K,).
        stride: of the convolution.

    Returns:
        (B, K, H', W') in float32, also under autocast; in float64 if the weights are.

    Raises:
        ValueError: ``offset`` or ``mask`` has fewer values than the output needs.
    """
    height, width = ((size - 1) // stride + 1 for size in x.shape[-2:])
    offset = reinterpret_size(offset, height, width)
    mask = reinterpret_size(mask, height, width)
    # Half precision is too coarse for positions: 130.3 pixels are 130.5 in bfloat16.
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.promote_types(weight.dtype, torch.float32)
        x, offset, mask, weight, bias = (t.to(dtype) for t in (x, offset, mask, weight, bias))
        if use_fused_ops() and x.device.type == "cpu":
            return _gather_conv(x, offset, mask, weight, bias, stride)
        return deform_conv2d(x, offset, weight, bias, stride=stride, padding=1, mask=mask)


def reinterpret_size(values: Tensor, height: int, width: int) -> Tensor:
    """Read the memory of each image as a tensor of another height and width.

    DyHead passes the offsets of the finer level to the convolution of the coarser one. The official
    kernels do not check sizes: they walk the memory of the larger tensor with the strides of the
    smaller one, and the released weights were trained that way (microsoft/GLIP,
    ``deform_conv_cuda.cu``).

    Args:
        values: (B, k, h, w).
        height: H'.
        width: W'.

    Returns:
        (B, k, H', W'), the first k H' W' values of each image.

    Raises:
        ValueError: an image has fewer values.
    """
    channels = values.shape[1]
    needed = channels * height * width
    if values.shape[-2:] == (height, width):
        return values
    if values[0].numel() < needed:
        raise ValueError(
            f"expected at least {needed} values per image in the offsets or masks of a "
            f"{height} x {width} output, got a tensor of shape {tuple(values.shape)}"
        )
    return values.flatten(1)[:, :needed].view(-1, channels, height, width)


def _gather_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, stride: int
) -> Tensor:
    """Compute the convolution as a gather of pixels (rows of C channels) and a matrix product."""
    batch, channels, height, width = x.shape
    corners, corner_weights = _bilinear_corners(offset, mask, (height, width), stride)
    pixels = x.permute(0, 2, 3, 1).reshape(-1, channels)  # (B * H * W, C)
    if corner_weights.requires_grad and not pixels.requires_grad:
        # Above a frozen backbone: embedding_bag of torch 2.1 fails on gradients to weights alone.
        pixels = pixels.detach().requires_grad_()
    matrix = weight.permute(2, 3, 1, 0).flatten(0, 2)  # (9C, K)
    blocks = list(
        zip(corners.split(9 * _BLOCK_SIZE), corner_weights.split(9 * _BLOCK_SIZE), strict=True)
    )
    if torch.is_grad_enabled():
        out = torch.cat([_gather_matmul(*block, pixels, matrix, bias) for block in blocks])
    else:
        out = pixels.new_empty(len(corners) // 9, len(bias))
        for block, out_block in zip(blocks, out.split(_BLOCK_SIZE), strict=True):
            torch.addmm(bias, _gather(*block, pixels), matrix, out=out_block)
    return out.view(batch, *offset.shape[-2:], -1).permute(0, 3, 1, 2)


def _gather(corners: Tensor, corner_weights: Tensor, pixels: Tensor) -> Tensor:
    """Sample the nine taps of P positions: (9P, 4), (9P, 4), (B * H * W, C) -> (P, 9C)."""
    taps = F.embedding_bag(corners, pixels, mode="sum", per_sample_weights=corner_weights)
    return taps.view(-1, 9 * pixels.shape[1])


def _gather_matmul(
    corners: Tensor, corner_weights: Tensor, pixels: Tensor, matrix: Tensor, bias: Tensor
) -> Tensor:
    """Sample the nine taps of P positions and multiply them by the weight matrix.

    The taps are recomputed in the backward pass: saved, they would be the largest part of the
    memory of training, a third of it in GLIP-T (A).

    Args:
        corners: (9P, 4), see :func:`_bilinear_corners`.
        corner_weights: (9P, 4).
        pixels: (B * H * W, C).
        matrix: (9C, K).
        bias: (K,).

    Returns:
        (P, K).
    """
    taps = _gather(corners, corner_weights, pixels)
    taps_ptr, sources = taps.data_ptr(), (corner_weights.detach(), pixels.detach())

    def pack(saved: Tensor) -> Tensor | None:
        return None if saved.data_ptr() == taps_ptr else saved

    def unpack(saved: Tensor | None) -> Tensor:
        return _gather(corners, *sources) if saved is None else saved

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return torch.addmm(bias, taps, matrix)


def _bilinear_corners(
    offset: Tensor, mask: Tensor, size: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor]:
    """Compute the four pixels around every sampling point and their weights.

    Args:
        offset: (B, 18, H', W').
        mask: (B, 9, H', W').
        size: (H, W).
        stride: of the convolution.

    Returns:
        the rows of the flattened input and the weights, both (B * H' * W' * 9, 4): position by
        position, and the nine taps row by row. Pixels outside the input have weight 0.
    """
    height, width = size
    batch, _, out_height, out_width = offset.shape
    tap, out_rows, out_cols = (
        torch.arange(count, device=offset.device, dtype=offset.dtype)
        for count in (3, out_height, out_width)
    )
    top = out_rows[:, None, None, None] * stride - 1 + tap[:, None]
    left = out_cols[:, None, None] * stride - 1 + tap
    shifts = offset.permute(0, 2, 3, 1).reshape(batch, out_height, out_width, 3, 3, 2)
    y, x = shifts[..., 0] + top, shifts[..., 1] + left  # (B, H', W', 3, 3)
    # A non-finite offset gets some valid pixel; its weights stay NaN, so that the loss shows it.
    y0, x0 = (each.detach().nan_to_num().floor() for each in (y, x))
    dy, dx = y - y0, x - x0
    weights = torch.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx], dim=-1)
    weights = weights * mask.permute(0, 2, 3, 1).unflatten(-1, (3, 3))[..., None]
    rows = torch.stack([y0, y0, y0 + 1, y0 + 1], dim=-1)
    cols = torch.stack([x0, x0 + 1, x0, x0 + 1], dim=-1)
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    corners = rows.clamp(0, height - 1).long() * width + cols.clamp(0, width - 1).long()
    image = torch.arange(batch, device=offset.device).view(-1, 1, 1, 1, 1, 1)
    corners = corners + image * (height * width)
    return corners.view(-1, 4), torch.where(inside, weights, 0).view(-1, 4)
