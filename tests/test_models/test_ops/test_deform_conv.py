"""Deformable convolution in both forms: its definition, torchvision's, the reading of offsets."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import deform_conv2d

from glip.models.ops import modulated_deform_conv, set_fused_ops
from glip.models.ops.deform_conv import reinterpret_size


def inputs(height: int, width: int, stride: int = 1, spread: float = 2.0) -> tuple:
    """Image, offsets (some far outside), masks, weights and biases."""
    generator = torch.Generator().manual_seed(height * 100 + width)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    out = (2, -(-height // stride), -(-width // stride))
    offset = spread * draw(out[0], 18, *out[1:])
    return draw(2, 3, height, width), offset, draw(out[0], 9, *out[1:]), draw(4, 3, 3, 3), draw(4)


@pytest.fixture(params=[True, False], ids=["fused", "plain"])
def form(request):
    set_fused_ops(request.param)
    yield request.param
    set_fused_ops(True)


def sample(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """(C,) at a point between pixels of (C, H, W); beyond the border everything is 0."""
    value = np.zeros(len(image))
    for row in (math.floor(y), math.floor(y) + 1):
        for col in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[1] and 0 <= col < image.shape[2]:
                value += (1 - abs(y - row)) * (1 - abs(x - col)) * image[:, row, col]
    return value


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(4, 5), (1, 1), (3, 7)])
def test_by_definition(size, stride, form):
    x, offset, mask, weight, bias = inputs(*size, stride)
    found = modulated_deform_conv(x, offset, mask, weight, bias, stride=stride)
    image, moves, shares, kernel = (t.double().numpy() for t in (x, offset, mask, weight))
    expected = np.zeros(found.shape)
    for batch, channel, row, col in np.ndindex(*found.shape):
        total = float(bias[channel])
        for tap in range(9):
            y = row * stride - 1 + tap // 3 + moves[batch, 2 * tap, row, col]
            x_ = col * stride - 1 + tap % 3 + moves[batch, 2 * tap + 1, row, col]
            read = sample(image[batch], y, x_) * shares[batch, tap, row, col]
            total += kernel[channel, :, tap // 3, tap % 3] @ read
        expected[batch, channel, row, col] = total
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "spread"), [((41, 53), 2.0), ((6, 5), 20.0), ((9, 9), 0.0)])
def test_as_torchvision_does(size, spread, stride, form):
    """Also with more positions than a block has, and in the gradients."""
    tensors = [t.requires_grad_() for t in inputs(*size, stride, spread)]
    x, offset, mask, weight, bias = tensors
    found = modulated_deform_conv(x, offset, mask, weight, bias, stride=stride)
    expected = deform_conv2d(x, offset, weight, bias, stride=stride, padding=1, mask=mask)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    if spread == 0:
        return  # on a pixel the gradient to the offsets jumps
    direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.autograd.grad((y * direction).sum(), tensors) for y in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_gradients_above_a_frozen_backbone(form):
    """The offsets get gradients although the feature map needs none."""
    x, *others = inputs(5, 6)
    trainable = [t.requires_grad_() for t in others]
    found = modulated_deform_conv(x, *trainable)
    offset, mask, weight, bias = trainable
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    ours, theirs = (torch.autograd.grad(y.square().sum(), trainable) for y in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
    assert not x.requires_grad


@pytest.mark.parametrize("stride", [1, 2])
def test_without_offsets_it_is_a_convolution(stride, form):
    x, offset, mask, weight, bias = inputs(7, 6, stride)
    found = modulated_deform_conv(
        x, torch.zeros_like(offset), torch.ones_like(mask), weight, bias, stride=stride
    )
    torch.testing.assert_close(found, F.conv2d(x, weight, bias, stride=stride, padding=1))


def test_half_precision_is_computed_in_float32(form):
    x, offset, mask, weight, bias = inputs(5, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = modulated_deform_conv(x, offset, mask, weight, bias)
    assert found.dtype == torch.float32
    assert torch.equal(found, modulated_deform_conv(x, offset, mask, weight, bias))


@pytest.mark.parametrize(
    ("size", "smaller"), [((5, 7), (3, 4)), ((5, 7), (5, 6)), ((2, 3), (1, 1))]
)
def test_offsets_of_another_size_are_read_as_memory(size, smaller):
    """Each image's values in a row, from its own start: the kernels' walk with other strides."""
    values = torch.randn(3, 18, *size)
    found = reinterpret_size(values, *smaller)
    assert found.shape == (3, 18, *smaller)
    for image in range(3):
        memory = np.frombuffer(values[image].numpy().tobytes(), dtype=np.float32)
        for channel, row, col in np.ndindex(18, *smaller):
            at = (channel * smaller[0] + row) * smaller[1] + col
            assert found[image, channel, row, col] == memory[at]
    # Which is neither cropping nor resizing.
    assert not torch.equal(found, values[..., : smaller[0], : smaller[1]])


def test_memory_of_a_view():
    """Offsets and masks are parts of one tensor, whose images do not follow each other."""
    taps = torch.randn(2, 27, 4, 6)
    mask = taps[:, 18:]
    assert not mask.is_contiguous()
    for image, found in enumerate(reinterpret_size(mask, 2, 3)):
        assert torch.equal(found.flatten(), mask[image].flatten()[: 9 * 6])


def test_same_size_is_returned_as_it_is():
    values = torch.randn(2, 18, 4, 5)
    assert reinterpret_size(values, 4, 5) is values


def test_too_few_values():
    with pytest.raises(
        ValueError, match=r"at least 432 values per image in the offsets or masks of a 4 x 6"
    ):
        reinterpret_size(torch.randn(1, 18, 4, 5), 4, 6)


def test_convolution_with_the_finer_level_s_offsets(form):
    x, _, _, weight, bias = inputs(3, 4)
    _, offset, mask, _, _ = inputs(5, 7)
    found = modulated_deform_conv(x, offset, mask, weight, bias)
    read = [t.flatten(1)[:, : k * 12].view(2, k, 3, 4) for t, k in ((offset, 18), (mask, 9))]
    expected = deform_conv2d(x, read[0], weight, bias, padding=1, mask=read[1])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_offsets(value):
    """NaN shows in the output, so that a diverging training is noticed; infinity counts 0."""
    x, offset, mask, weight, bias = inputs(4, 5)
    offset[0, 8:10, 1, 2] = torch.tensor([value, 0.0])  # y and x of the middle tap
    found = modulated_deform_conv(x, offset, mask, weight, bias)
    bad = ~found.isfinite()
    expected = torch.zeros_like(bad)
    expected[0, :, 1, 2] = math.isnan(value)
    assert torch.equal(bad, expected)


def test_the_taps_are_not_saved():
    """Nine times the size of the feature map: the backward pass recomputes them."""
    tensors = [torch.randn(2, 16, 20, 30), *inputs(20, 30)[1:3], torch.randn(4, 16, 3, 3)]
    tensors = [t.requires_grad_() for t in (*tensors, torch.randn(4))]
    saved: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.numel() if tensor.is_floating_point() else 0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        modulated_deform_conv(*tensors).sum().backward()
    assert max(saved) < 9 * tensors[0].numel()
