"""Decoding: from a file, a URL, bytes, a Pillow image or an array to BGR pixels.

Everything leaves here as a uint8 array (H, W, 3) in BGR order, values 0 to 255, upright. One rule
per kind of picture:

- a photograph's EXIF orientation is applied (a broken EXIF block is ignored);
- gray, CMYK, YCbCr and palette images are converted by Pillow; of an animation, the first frame;
- transparency is dropped, not blended over a background, which is what the official GLIP does
  (``convert('RGB')``);
- images of more than 8 bits (Pillow modes ``I;16``, ``I`` and ``F``) are scaled so that 65535
  becomes 255. Those that hold no value above 255 are 8-bit pictures in a wide file and keep their
  values, and floating point ones that hold none above 1 are read as 0 to 1. (Pillow's own
  conversion clips at 255 and gives a white picture.)
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

# Pillow's modes of more than 8 bits; which one a 16-bit PNG opens in depends on Pillow's version.
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def read_image(
    source: str | Path | bytes, *, backend_args: dict[str, Any] | None = None
) -> np.ndarray:
    """Read and decode an image.

    Args:
        source: a path, a URL that :func:`mmengine.fileio.get` knows (``http://``, ``https://``,
            ``s3://`` and others), or the content of an image file.
        backend_args: mmengine's file backend and its settings; by default found from ``source``.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: nothing is there, it is a folder, it is not an image, or it is damaged.
        TypeError: ``source`` is none of the three kinds.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(bytes(source), name="the image given as bytes")
    if not isinstance(source, (str, Path)):
        raise TypeError(
            f"an image is read from a path, a URL or bytes, but got {type(source).__name__}; "
            "use to_bgr() for a Pillow image and array_to_bgr() for an array."
        )
    return decode_image(read_bytes(source, backend_args), name=f"the image '{source}'")


def read_bytes(source: str | Path, backend_args: dict[str, Any] | None = None) -> bytes:
    """Fetch the content of an image file, not decoded.

    Args:
        source: a path or a URL.
        backend_args: mmengine's file backend and its settings; by default found from ``source``.

    Raises:
        ImageReadError: nothing is there, it is a folder, or it cannot be opened or fetched.
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
        content: the bytes of the file.
        name: what to call the image in an error, for example ``'the image a.jpg'``.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: the content is not an image, is damaged or is too large.
    """
    if not content:
        raise _failure(name, "the file is empty", "copy or download it again")
    try:
        with Image.open(io.BytesIO(content)) as image:
            return to_bgr(image, name=name)
    except Image.UnidentifiedImageError as error:
        problem = "it is not an image in a format that Pillow knows, or its start is damaged"
        raise _failure(name, problem, "save it as JPEG or PNG") from error
    except ImageReadError:
        raise
    except Exception as error:
        raise _decoding_error(name, error) from error


def to_bgr(image: Image.Image, *, name: str = "the Pillow image") -> np.ndarray:
    """Turn a Pillow image of any mode into BGR pixels.

    Args:
        image: the image; its EXIF orientation, where it still carries one, is applied.
        name: what to call it in an error.

    Returns:
        The pixels (H, W, 3), uint8, BGR; a new array.

    Raises:
        ImageReadError: the image is damaged, empty, or of a kind that has no colours.
    """
    try:
        image.load()  # a file is only decoded here; cut-off files are found out
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
            image = image.convert("RGBA")  # the same colours; directly to RGB Pillow warns
        rgb = np.asarray(image.convert("RGB"))
    except (ValueError, OSError) as error:
        problem = f"its colour mode {image.mode} cannot be converted to RGB"
        raise _failure(name, problem, "save it as an RGB image") from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


def array_to_bgr(array: np.ndarray) -> np.ndarray:
    """Check an image that is already an array and give it the one form used here.

    The type of the array tells its range, whatever its content, so that the frames of a video are
    all treated alike: uint16 is scaled so that 65535 becomes 255; every other type must hold values
    from 0 to 255, which are rounded. A floating point image from 0 to 1 is an error.

    Args:
        array: (H, W, 3) BGR, (H, W, 4) BGR and transparency, which is dropped, or gray (H, W) or
            (H, W, 1).

    Returns:
        The pixels (H, W, 3), uint8, BGR; the array itself where it already is that.

    Raises:
        ImageReadError: the shape, type or range is another one.
        TypeError: ``array`` is not an array.
    """
    name = "the image given as an array"
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected an image as a numpy array, but got {type(array).__name__}.")
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
    """Round an integer or floating point array of values 0 to 255 to uint8, same shape."""
    is_float = np.issubdtype(pixels.dtype, np.floating)
    if not is_float and not np.issubdtype(pixels.dtype, np.integer):
        problem = f"its type {pixels.dtype} is not one of pixels"
        raise _failure(name, problem, "convert it to uint8 with values 0 to 255")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= 0 and high <= 255):  # also when either is NaN
        problem = f"its values go from {low:g} to {high:g}, not from 0 to 255"
        raise _failure(name, problem, "scale it to that range, before any normalisation")
    if is_float and 0 < high <= 1:
        problem = f"its largest value is {high:g}, so it seems to go from 0 to 1, not to 255"
        raise _failure(name, problem, "multiply it by 255")
    return _scaled(pixels, 1)


def _wide_to_uint8(gray: np.ndarray, name: str) -> np.ndarray:
    """Scale the gray values (H, W) of a file of more than 8 bits to uint8."""
    low, high = float(gray.min()), float(gray.max())
    if not (low >= 0 and high <= 65535):  # also when either is NaN
        problem = f"its values go from {low:g} to {high:g}, outside the 16-bit range 0 to 65535"
        raise _failure(name, problem, "save it as an 8-bit image")
    if high > 255:
        return _scaled(gray, 255 / 65535)
    from_zero_to_one = gray.dtype.kind == "f" and high <= 1
    return _scaled(gray, 255 if from_zero_to_one else 1)


def _scaled(values: np.ndarray, factor: float) -> np.ndarray:
    """Multiply and round to uint8."""
    return np.rint(values.astype(np.float64) * factor).astype(np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a broken EXIF block, which raises all sorts, has none."""
    try:
        return ImageOps.exif_transpose(image) or image
    except Exception:
        return image


def _decoding_error(name: str, error: Exception) -> ImageReadError:
    """Explain what Pillow raised while it opened or decoded an image."""
    if isinstance(error, Image.DecompressionBombError):
        problem = f"it has more pixels than Pillow agrees to decode ({error})"
        advice = "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it"
    elif isinstance(error, MemoryError):
        problem, advice = "there is not enough memory to decode it", "make it smaller"
    else:
        problem = f"it is truncated or damaged ({type(error).__name__}: {error})"
        advice = "copy or download it again"
    return _failure(name, problem, advice)


def _failure(name: str, problem: str, advice: str) -> ImageReadError:
    return ImageReadError(f"cannot read {name}: {problem}; {advice}.")
