"""Modulated deformable convolution with the official reading of its offsets.

Shapes: B images, C channels in and K out; the input is H x W, the output H' x W'.
"""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import deform_conv2d


def modulated_deform_conv(
    x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, *, stride: int = 1
) -> Tensor:
    """3x3 modulated deformable convolution (DCNv2), padding 1.

    Args:
        x: (B, C, H, W).
        offset: (B, 18, h, w), y and x of each of the nine taps, in pixels of ``x``.
        mask: (B, 9, h, w), the weight of each tap.
        weight: (K, C, 3, 3).
        bias: (K,) or none.
        stride: of the output.

    Offsets and masks need not have the output's size, only at least as many values: see
    :func:`reread`.

    Returns:
        (B, K, H', W').
    """
    height, width = ((size - 1) // stride + 1 for size in x.shape[-2:])
    offset = reread(offset, height, width)
    mask = reread(mask, height, width)
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
