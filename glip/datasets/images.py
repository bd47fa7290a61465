"""Open images: from any source that a user may have to BGR pixels.

=========================================  ===========================================
source                                     read as
=========================================  ===========================================
path: ``str``, ``Path``                    an image file
URL: ``http(s)://``, ``file://``           downloaded, with time-outs
URL: ``s3://`` and others                  with the file backends of mmengine
``bytes``, ``bytearray``, ``memoryview``   the content of an image file
file object with ``read()``                the same, from its start if it can seek
Pillow image                               any mode, see below
numpy array (H, W, 3), (H, W)              BGR, 0 to 255 (uint16: 0 to 65535)
tensor (3, H, W), (H, W, 3), (H, W)        RGB, uint8: 0 to 255, floating point: 0 to 1
=========================================  ===========================================

Every function returns a uint8 array (H, W, 3) in BGR order, values 0 to 255, upright:

- the EXIF orientation is applied (a damaged EXIF block is ignored);
- grayscale, CMYK, YCbCr and palette images are converted by Pillow; of an animation or a file of
  several pages, the first one is taken;
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
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from glip.datasets.image_arrays import array_to_bgr, scale_to_uint8, tensor_to_bgr
from glip.datasets.image_bytes import (
    check_size,
    failure,
    image_name,
    read_bytes,
    read_file_object,
)
from glip.utils.errors import ImageReadError, shorten
from glip.utils.image_files import UNSAFE_FORMATS, ImageLimits, readable_formats
from glip.utils.tensors import is_tensor

__all__ = [
    "ACCEPTED",
    "array_to_bgr",
    "check_pixels",
    "check_source",
    "decode_image",
    "open_image",
    "read_bytes",
    "read_image",
    "tensor_to_bgr",
    "to_bgr",
]

#: What :func:`open_image` accepts, for messages.
ACCEPTED = (
    "a path, a URL, bytes, a file object opened in mode 'rb', a Pillow image, a numpy array "
    "(H, W, 3) in BGR order or a tensor (3, H, W) in RGB order"
)

# Pillow's modes with more than 8 bits; the mode of a 16-bit PNG depends on Pillow's version.
_WIDE_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")

# Pillow decodes an image on first use, which several threads must not do at once.
_PILLOW_IMAGE_LOCK = threading.RLock()
_PILLOW_LIMIT_LOCK = threading.RLock()
_ORIENTATION = 0x0112  # EXIF tag; 1 is upright
# Rows that are converted at once.
_STRIP = 1024


def check_source(source: object) -> None:
    """Check that an object is one that :func:`open_image` accepts, without reading it.

    Raises:
        TypeError: It is not.
    """
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray)
    is_image = isinstance(source, kinds) or is_tensor(source)
    if not is_image and not callable(getattr(source, "read", None)):
        raise TypeError(f"expected an image as {ACCEPTED}, got {type(source).__name__}.")


def open_image(
    source: Any,
    *,
    backend_args: dict[str, Any] | None = None,
    limits: ImageLimits | None = None,
) -> np.ndarray:
    """Open an image of any kind; see the table at the top of this module.

    Threads may share the source, also a file object or a Pillow image.

    Args:
        source: The image.
        backend_args: mmengine's file backend for a path or URL; by default chosen by it.
        limits: Of the pixels and the bytes of a file, checked before it is decoded.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: The image cannot be read, or is too large.
        TypeError: ``source`` is nothing of the table.
    """
    check_source(source)
    if isinstance(source, np.ndarray):
        return array_to_bgr(source)
    if is_tensor(source):
        return tensor_to_bgr(source)
    if isinstance(source, Image.Image):
        with _PILLOW_IMAGE_LOCK:
            return to_bgr(source, limits=limits)
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
        return read_image(source, backend_args=backend_args, limits=limits)
    name = "the image given as a file object"
    return decode_image(read_file_object(source, limits), name, limits)


def read_image(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    backend_args: dict[str, Any] | None = None,
    limits: ImageLimits | None = None,
) -> np.ndarray:
    """Read and decode an image file.

    Args:
        source: A path, a URL, or the content of an image file.
        backend_args: mmengine's file backend and its settings; by default chosen by ``source``.
        limits: Of the pixels and the bytes, checked before the image is decoded.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: The file does not exist, is a folder, is not an image, is damaged or is too
            large.
        TypeError: ``source`` is not a path, a URL or bytes.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name = "the image given as bytes"
        if 0 < len(source) < 1024 and _is_path(bytes(source)):
            raise failure(name, "the bytes are the path of a file", "pass the path as str")
        return decode_image(source, name, limits)
    if isinstance(source, os.PathLike):
        source = os.fsdecode(source)
    if not isinstance(source, str):
        raise TypeError(
            f"expected a path, a URL or bytes, got {type(source).__name__}; use open_image() for "
            "images of all kinds, to_bgr() for a Pillow image and array_to_bgr() for an array."
        )
    return decode_image(read_bytes(source, backend_args, limits), image_name(source), limits)


def decode_image(
    content: bytes | bytearray | memoryview, name: str, limits: ImageLimits | None = None
) -> np.ndarray:
    """Decode the content of an image file.

    Args:
        content: The bytes of the file.
        name: Name of the image in an error, for example ``'the image a.jpg'``.
        limits: Of the pixels and the bytes.

    Returns:
        The pixels (H, W, 3), uint8, BGR.

    Raises:
        ImageReadError: The content is not an image, is damaged or is too large.
    """
    limits = limits or ImageLimits()
    if not len(content):
        raise failure(name, "the file is empty", "copy or download it again")
    check_size(memoryview(content).nbytes, limits, name)
    try:
        with (
            _pillow_limit(limits),
            Image.open(io.BytesIO(content), formats=readable_formats()) as image,
        ):
            return to_bgr(image, name=name, limits=limits)
    except Image.UnidentifiedImageError:
        problem = "it is not an image in a format that Pillow supports, or its header is damaged"
        raise failure(name, problem, "save it as JPEG or PNG") from None
    except ImageReadError:
        raise
    except Exception as error:
        raise _decoding_error(name, error) from None


def check_pixels(content: bytes, name: str, limits: ImageLimits) -> None:
    """Check the number of pixels of an image file that another library than Pillow decodes.

    A format that Pillow does not know is left to the limits of that library.

    Args:
        content: The bytes of the file.
        name: Name of the image in an error.
        limits: Of the pixels.

    Raises:
        ImageReadError: The image has too many pixels.
    """
    try:
        with (
            _pillow_limit(limits),
            Image.open(io.BytesIO(content), formats=readable_formats()) as image,
        ):
            _check_pixels(image, name, limits)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _decoding_error(name, error) from None
    except ImageReadError:
        raise
    except Exception:  # the decoder reports what is wrong
        return


def to_bgr(
    image: Image.Image,
    *,
    name: str = "the Pillow image",
    limits: ImageLimits | None = None,
) -> np.ndarray:
    """Convert a Pillow image of any mode to BGR pixels.

    Args:
        image: The image; its EXIF orientation, if it has one, is applied.
        name: Name of the image in an error.
        limits: Of the pixels.

    Returns:
        The pixels (H, W, 3), uint8, BGR; a new array.

    Raises:
        ImageReadError: The image is damaged, empty, too large, or of a mode that cannot be
            converted to RGB.
    """
    _check_pixels(image, name, limits)
    kind = getattr(image, "format", None)
    if kind in UNSAFE_FORMATS and getattr(image, "tile", None):  # not decoded yet
        raise failure(name, f"the format {kind} is not decoded", "save it as JPEG or PNG")
    try:
        image.load()  # a file is decoded here, which detects truncated files
    except Exception as error:
        raise _decoding_error(name, error) from None
    if 0 in image.size:
        raise failure(name, f"it is empty ({image.width} x {image.height})", "give one with pixels")
    image = _upright(image)
    if image.mode in _WIDE_MODES:
        gray = _wide_to_uint8(np.asarray(image), name)
        return np.repeat(gray[:, :, None], 3, axis=2)
    try:
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")  # the same colors; Pillow warns when it converts to RGB
        if image.mode == "La":
            image = image.convert("LA")  # Pillow does not convert it to RGB
        # By strips: a large image is in memory once in Pillow and once here.
        bgr = np.empty((image.height, image.width, 3), np.uint8)
        for y in range(0, image.height, _STRIP):
            strip = image.crop((0, y, image.width, min(y + _STRIP, image.height)))
            bgr[y : y + _STRIP] = np.asarray(strip.convert("RGB"))[:, :, ::-1]
    except (ValueError, OSError):
        problem = f"its color mode {image.mode} cannot be converted to RGB"
        raise failure(name, problem, "save it as an RGB image") from None
    return bgr


def _check_pixels(image: Image.Image, name: str, limits: ImageLimits | None) -> None:
    limit = None if limits is None else limits.max_pixels
    if limit is not None and image.width * image.height > limit:
        raise failure(
            name,
            f"it has {image.width} x {image.height} pixels and max_pixels is {limit:,}",
            "resize it, or raise max_pixels if you trust its source",
        )


@contextmanager
def _pillow_limit(limits: ImageLimits) -> Iterator[None]:
    """Raise Pillow's own limit, which is global, for the time of the block if it is lower."""
    pillow, own = Image.MAX_IMAGE_PIXELS, limits.max_pixels
    if own is None or pillow is None or own <= 2 * pillow:  # Pillow refuses twice its limit
        yield
        return
    with _PILLOW_LIMIT_LOCK:
        pillow = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = own
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = pillow


def _is_path(content: bytes) -> bool:
    """Return whether bytes are the path of a file rather than its content."""
    try:
        return os.path.isfile(os.fsdecode(content))
    except (OSError, ValueError):
        return False


def _wide_to_uint8(gray: np.ndarray, name: str) -> np.ndarray:
    """Scale the gray values (H, W) of an image with more than 8 bits to uint8."""
    low, high = float(gray.min()), float(gray.max())
    if not (low >= 0 and high <= 65535):  # also when either is NaN
        problem = f"its values are from {low:g} to {high:g}, outside the 16-bit range 0 to 65535"
        raise failure(name, problem, "save it as an 8-bit image")
    if high > 255:
        return scale_to_uint8(gray, 255 / 65535)
    from_zero_to_one = gray.dtype.kind == "f" and high <= 1
    return scale_to_uint8(gray, 255 if from_zero_to_one else 1)


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if the image has a valid one."""
    try:
        if image.getexif().get(_ORIENTATION, 1) == 1:
            return image  # which exif_transpose would copy
        return ImageOps.exif_transpose(image) or image
    except Exception:  # a damaged EXIF block raises errors of many types
        return image


def _decoding_error(name: str, error: Exception) -> ImageReadError:
    """Convert an error that Pillow raised while opening or decoding an image."""
    detail = shorten(str(error), 200)
    # A warning is raised as an error with ``python -W error``.
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        problem = f"it has more pixels than Pillow decodes by default ({detail})"
        advice = "resize it, or raise max_pixels (or PIL.Image.MAX_IMAGE_PIXELS) if you trust it"
    elif isinstance(error, MemoryError):
        problem, advice = "there is not enough memory to decode it", "resize it"
    elif "closed" in detail or isinstance(error, AttributeError):  # a Pillow image of a closed file
        problem = f"it was closed before it was decoded ({type(error).__name__}: {detail})"
        advice = "open it again, and keep it open"
    else:
        problem = f"it is truncated or damaged ({type(error).__name__}: {detail})"
        advice = "copy or download it again"
    return failure(name, problem, advice)
