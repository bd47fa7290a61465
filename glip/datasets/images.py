"""Read images: from a path, a URL, bytes, a Pillow image or an array to BGR pixels.

Every function returns a uint8 array (H, W, 3) in BGR order, values 0 to 255, upright:

- the EXIF orientation is applied (a damaged EXIF block is ignored);
- grayscale, CMYK, YCbCr and palette images are converted by Pillow; of an animation, the first
  frame is taken;
- transparency is dropped, not blended with a background, as in the official GLIP
  (``convert('RGB')``);
- images with more than 8 bits (Pillow modes ``I;16``, ``I`` and ``F``) are scaled from [0, 65535]
  to [0, 255]. If no value is above 255, the image is an 8-bit image in a wider format and keeps its
  values; a floating-point image without values above 1 is scaled from [0, 1]. (Pillow's own
  conversion clips at 255, which makes the image white.)
"""

from __future__ import annotations

import io
import os
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from PIL import Image, ImageOps

from glip.utils.errors import ImageReadError

# Pillow's modes with more than 8 bits; the mode of a 16-bit PNG depends on Pillow's version.
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def read_image(
    source: str | Path | bytes, *, backend_args: dict[str, Any] | None = None
) -> np.ndarray:
    """Read and decode an image.

    Args:
        source: A path, a URL that :func:`mmengine.fileio.get` supports (``http://``, ``https://``,
            ``s3://`` and others), or the content of an image file.
        backend_args: mmengine's file backend and its settings; by default chosen by ``source``.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: The file does not exist, is a folder, is not an image, or is damaged.
        TypeError: ``source`` is not a path, a URL or bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(bytes(source), name="the image given as bytes")
    if not isinstance(source, (str, Path)):
        raise TypeError(
            f"expected a path, a URL or bytes, got {type(source).__name__}; use to_bgr() for a "
            "Pillow image and array_to_bgr() for an array."
        )
    return decode_image(read_bytes(source, backend_args), name=f"the image '{source}'")


def read_bytes(source: str | Path, backend_args: dict[str, Any] | None = None) -> bytes:
    """Read the content of an image file, without decoding it.

    Args:
        source: A path or a URL.
        backend_args: mmengine's file backend and its settings; by default chosen by ``source``.

    Raises:
        ImageReadError: The file does not exist, is a folder, or cannot be opened or downloaded.
    """
    name = f"the image '{source}'"
    try:
        return fileio.get(str(source), backend_args=backend_args)
    except FileNotFoundError as error:
        raise _failure(name, "the file does not exist", "check the path") from error
    except (OSError, ValueError, LookupError, HTTPException) as error:
        # Opening a folder is IsADirectoryError on Linux and PermissionError on Windows.
        if os.path.isdir(source):
            raise _failure(name, "it is a folder", "give the path of one image file") from error
        problem = f"it cannot be opened ({type(error).__name__}: {error})"
        raise _failure(name, problem, "check the path or URL and the access to it") from error


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the content of an image file.

    Args:
        content: The bytes of the file.
        name: Name of the image in an error, for example ``'the image a.jpg'``.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: The content is not an image, is damaged or is too large.
    """
    if not content:
        raise _failure(name, "the file is empty", "copy or download it again")
    try:
        with Image.open(io.BytesIO(content)) as image:
            return to_bgr(image, name=name)
    except Image.UnidentifiedImageError as error:
        problem = "it is not an image in a format that Pillow supports, or its header is damaged"
        raise _failure(name, problem, "save it as JPEG or PNG") from error
    except ImageReadError:
        raise
    except Exception as error:
        raise _decoding_error(name, error) from error


def to_bgr(image: Image.Image, *, name: str = "the Pillow image") -> np.ndarray:
    """Convert a Pillow image of any mode to BGR pixels.

    Args:
        image: The image; its EXIF orientation, if it has one, is applied.
        name: Name of the image in an error.

    Returns:
        The pixels (H, W, 3), uint8, BGR; a new array.

    Raises:
        ImageReadError: The image is damaged, empty, or of a mode that cannot be converted to RGB.
    """
    try:
        image.load()  # a file is decoded here, which detects truncated files
    except Exception as error:
        raise _decoding_error(name, error) from error
    if 0 in image.size:
        raise _failure(
            name, f"it is empty ({image.width} x {image.height})", "give one with pixels"
        )
    image = _upright(image)
    if image.mode in _WIDE_MODES:
        gray = _wide_to_uint8(np.asarray(image), name)
        return np.repeat(gray[:, :, None], 3, axis=2)
    try:
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # the same colors; Pillow warns when it converts to RGB
        rgb = np.asarray(image.convert("RGB"))
    except (ValueError, OSError) as error:
        problem = f"its color mode {image.mode} cannot be converted to RGB"
        raise _failure(name, problem, "save it as an RGB image") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


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
        raise _failure(name, problem, "pass one image with the channels last")
    if 0 in pixels.shape:
        raise _failure(name, f"it is empty (shape {array.shape})", "give one with pixels")
    pixels = pixels[:, :, :3]
    if pixels.dtype == np.uint16:
        pixels = _scaled(pixels, 255 / 65535)
    elif pixels.dtype != np.uint8:
        pixels = _checked_range(pixels, name)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _checked_range(pixels: np.ndarray, name: str) -> np.ndarray:
    """Round an integer or floating-point array with values from 0 to 255 to uint8."""
    is_float = np.issubdtype(pixels.dtype, np.floating)
    if not is_float and not np.issubdtype(pixels.dtype, np.integer):
        problem = f"its dtype {pixels.dtype} is not numeric"
        raise _failure(name, problem, "convert it to uint8 with values 0 to 255")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # also when either is NaN
        problem = f"its values are from {low:g} to {high:g}, not from 0 to 255"
        raise _failure(name, problem, "scale it to that range, without normalization")
    if is_float and 0 < high <= 1:
        problem = f"its largest value is {high:g}, so its range seems to be [0, 1], not [0, 255]"
        raise _failure(name, problem, "multiply it by 255")
    return _scaled(pixels, 1)


def _wide_to_uint8(gray: np.ndarray, name: str) -> np.ndarray:
    """Scale the gray values (H, W) of an image with more than 8 bits to uint8."""
    low, high = float(gray.min()), float(gray.max())
    if not (low >= 0 and high <= 65535):  # also when either is NaN
        problem = f"its values are from {low:g} to {high:g}, outside the 16-bit range 0 to 65535"
        raise _failure(name, problem, "save it as an 8-bit image")
    if high > 255:
        return _scaled(gray, 255 / 65535)
    from_zero_to_one = gray.dtype.kind == "f" and high <= 1
    return _scaled(gray, 255 if from_zero_to_one else 1)


def _scaled(values: np.ndarray, factor: float) -> np.ndarray:
    """Multiply and round to uint8."""
    return np.rint(values.astype(np.float64) * factor).astype(np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if the image has a valid one."""
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:  # a damaged EXIF block raises errors of many types
        return image


def _decoding_error(name: str, error: Exception) -> ImageReadError:
    """Convert an error that Pillow raised while opening or decoding an image."""
    if isinstance(error, Image.DecompressionBombError):
        problem = f"it has more pixels than Pillow decodes by default ({error})"
        advice = "resize it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust its source"
    elif isinstance(error, MemoryError):
        problem, advice = "there is not enough memory to decode it", "resize it"
    else:
        problem = f"it is truncated or damaged ({type(error).__name__}: {error})"
        advice = "copy or download it again"
    return _failure(name, problem, advice)


def _failure(name: str, problem: str, advice: str) -> ImageReadError:
    return ImageReadError(f"cannot read {name}: {problem}; {advice}.")
