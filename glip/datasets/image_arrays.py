"""Images that are arrays or tensors, to BGR pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from glip.datasets.image_bytes import failure

if TYPE_CHECKING:
    import torch


def array_to_bgr(array: np.ndarray) -> np.ndarray:
    """Check an image that is an array, and convert it to BGR pixels.

    The dtype determines the range, independently of the values, so that all frames of a video are
    treated alike: uint16 is scaled from [0, 65535] to [0, 255]; other dtypes must have values from
    0 to 255, which are rounded. A floating-point image in [0, 1] is an error.

    Args:
        array: BGR (H, W, 3), BGR with transparency (H, W, 4), which is dropped, or grayscale (H, W)
            or (H, W, 1).

    Returns:
        The pixels (H, W, 3), uint8, BGR; the array itself if it has this form.

    Raises:
        ImageReadError: The shape, dtype or range is wrong.
        TypeError: ``array`` is not an array.
    """
    name = "the image given as an array"
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected an image as a numpy array, got {type(array).__name__}.")
    pixels = array[:, :, None] if array.ndim == 2 else array
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        problem = f"its shape {array.shape} is not (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
        raise failure(name, problem, "pass one image with the channels last")
    if 0 in pixels.shape:
        raise failure(name, f"it is empty (shape {array.shape})", "give one with pixels")
    pixels = pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        pixels = scale_to_uint8(pixels, 255 / 65535)
    elif pixels.dtype != np.uint8:
        pixels = _checked_range(pixels, name)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def tensor_to_bgr(tensor: torch.Tensor) -> np.ndarray:
    """Check an image that is a tensor, and convert it to BGR pixels.

    Tensors are RGB, as those of torchvision are (arrays are BGR, as those of OpenCV are). The dtype
    determines the range, independently of the values: integers are from 0 to 255, floating-point
    numbers from 0 to 1.

    Args:
        tensor: RGB (3, H, W) or (H, W, 3), with transparency (4, H, W) or (H, W, 4), which is
            dropped, or grayscale (H, W), (1, H, W) or (H, W, 1); on any device.

    Returns:
        The pixels (H, W, 3), uint8, BGR; a new array.

    Raises:
        ImageReadError: The shape, layout, dtype or range is wrong.
    """
    import torch

    name = "the image given as a tensor"
    shape = tuple(tensor.shape)
    if tensor.is_meta or tensor.is_quantized or tensor.is_nested or tensor.layout != torch.strided:
        raise failure(name, "it is not a dense tensor with values", "pass a dense uint8 tensor")
    if tensor.is_complex() or tensor.dtype == torch.bool:
        problem = f"its dtype {tensor.dtype} is not that of an image"
        raise failure(name, problem, "convert it to uint8 with values 0 to 255")
    if 0 in shape:
        raise failure(name, f"it is empty (shape {shape})", "give one with pixels")
    dense = tensor.detach().cpu()
    values = (dense.double() if tensor.is_floating_point() else dense).numpy()
    if values.ndim == 2:
        values = values[:, :, None]
    elif values.ndim == 3 and _is_channels_first(shape, name):
        values = values.transpose(1, 2, 0)
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        problem = f"its shape {shape} is not (3, H, W), (H, W, 3) or (H, W)"
        advice = "pass the images of a batch as a list" if len(shape) == 4 else "pass one image"
        raise failure(name, problem, advice)
    low, high = float(values.min()), float(values.max())
    if tensor.is_floating_point():
        if not (low >= 0 and high <= 1):  # also when either is NaN
            problem = f"its values are from {low:g} to {high:g}, not from 0 to 1"
            advice = "undo the normalization, or convert values from 0 to 255 to uint8"
            raise failure(name, problem, advice)
        values = scale_to_uint8(values, 255)
    elif not (low >= 0 and high <= 255):
        problem = f"its values are from {low:g} to {high:g}, not from 0 to 255"
        raise failure(name, problem, "scale it to that range")
    rgb = values[:, :, :3].astype(np.uint8)
    rgb = np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else rgb
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _is_channels_first(shape: tuple[int, ...], name: str) -> bool:
    """Return whether the channels are the first of three axes.

    Raises:
        ImageReadError: They may be the first or the last.
    """
    first, last = shape[0], shape[2]
    for channels in (3, 4, 1):  # an image of 1 pixel width is rarer than one of 3 channels
        if (first == channels) != (last == channels):
            return first == channels
        if first == channels:
            problem = f"its shape {shape} is both (C, H, W) and (H, W, C)"
            raise failure(name, problem, "pass it as a numpy array (H, W, 3) in BGR order")
    return False


def _checked_range(pixels: np.ndarray, name: str) -> np.ndarray:
    """Round an integer or floating-point array with values from 0 to 255 to uint8."""
    is_float = np.issubdtype(pixels.dtype, np.floating)
    if not is_float and not np.issubdtype(pixels.dtype, np.integer):
        problem = f"its dtype {pixels.dtype} is not numeric"
        raise failure(name, problem, "convert it to uint8 with values 0 to 255")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # also when either is NaN
        problem = f"its values are from {low:g} to {high:g}, not from 0 to 255"
        raise failure(name, problem, "scale it to that range, without normalization")
    if is_float and 0 < high <= 1:
        problem = f"its largest value is {high:g}, so its range seems to be [0, 1], not [0, 255]"
        raise failure(name, problem, "multiply it by 255")
    return scale_to_uint8(pixels, 1)


def scale_to_uint8(values: np.ndarray, factor: float) -> np.ndarray:
    """Multiply and round to uint8."""
    return np.rint(values.astype(np.float64) * factor).astype(np.uint8)
