"""Image files: which formats and file extensions are read, and the limits of their size.

An image is what Pillow decodes itself. Readers that start another program, only describe a file,
or open files inside others are left out (:data:`UNSAFE_FORMATS`). Formats that a plugin of Pillow
adds are read, for example HEIF after ``pillow_heif.register_heif_opener()``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import PurePath

from PIL import Image

from glip.utils.errors import ConfigError

#: The common file extensions of images, lowercase; Pillow reads and OpenCV writes all of them.
#: Where several files hold the same image, the first extension is preferred.
IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")

#: Pillow's readers that are not used. EPS starts Ghostscript, and WMF asks Windows to render;
#: BUFR, GRIB, HDF5 and MPEG identify a file but decode nothing; FPX, MIC and IPTC open the images
#: inside a container.
UNSAFE_FORMATS = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "FPX", "MIC", "IPTC"})

#: Largest image file by default, in bytes: 512 MiB, the uncompressed size of the largest image that
#: Pillow decodes by default (179 million RGB pixels).
MAX_BYTES = 512 * 1024**2


#: Longest name of an output file without its extension, in bytes; file systems allow 255.
MAX_NAME = 180
# Not allowed in a file name on Linux, macOS or Windows.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\ud800-\udfff<>:"/\\|?*]')


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked before an image is decoded, so that a file cannot exhaust the memory.

    Attributes:
        max_pixels: height times width. None: Pillow's limit, 2 * ``PIL.Image.MAX_IMAGE_PIXELS``,
            about 179 million.
        max_bytes: size of the file; downloads stop there. None: :data:`MAX_BYTES`.

    Raises:
        ConfigError: a limit is not an integer of 1 or more.
    """

    max_pixels: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("max_pixels", self.max_pixels), ("max_bytes", self.max_bytes)):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"expected {name} as an integer of 1 or more, or None, got {value!r:.100}"
                )

    @property
    def bytes_allowed(self) -> int:
        """Largest file, in bytes."""
        return MAX_BYTES if self.max_bytes is None else self.max_bytes


def readable_formats() -> list[str]:
    """Return the names of the formats that are read, for ``PIL.Image.open(formats=...)``."""
    Image.init()
    return [name for name in Image.OPEN if name not in UNSAFE_FORMATS]


def readable_extensions() -> frozenset[str]:
    """Return the file extensions of :func:`readable_formats`, lowercase, for example ``.jfif``."""
    formats = {*readable_formats(), "MPO"}  # MPO files are opened by the reader of JPEG
    return frozenset(
        extension.lower()
        for extension, name in Image.registered_extensions().items()
        if name in formats
    )


def is_image_file(path: str | PathLike[str]) -> bool:
    """Return whether a path has the file extension of an image, in any letter case.

    The file is not opened. Hidden files, whose name starts with ``.``, are no images: macOS writes
    a file ``._a.jpg`` of attributes next to each ``a.jpg``.

    Example:
        >>> is_image_file("photos/a.JPG"), is_image_file("photos/._a.jpg")
        (True, False)
    """
    name = PurePath(path).name
    return not name.startswith(".") and PurePath(name).suffix.lower() in readable_extensions()


def preferred_extension(extensions: set[str]) -> str | None:
    """Return the extension of the image to use where several files hold the same one.

    Args:
        extensions: lowercase, of all files, also of others than images.

    Returns:
        The first one of :data:`IMAGE_EXTENSIONS`, else of the other readable ones; None if no file
        is an image.
    """
    order = [*IMAGE_EXTENSIONS, *sorted(readable_extensions().difference(IMAGE_EXTENSIONS))]
    return next((extension for extension in order if extension in extensions), None)


def safe_file_name(name: str, default: str) -> str:
    """Return a name as every file system can store it, and which stays in its folder.

    Args:
        name: without an extension.
        default: to use if nothing of ``name`` can be used.

    Example:
        >>> safe_file_name("a/b", "image"), safe_file_name("..", "image")
        ('a_b', 'image')
    """
    # A dot at the start hides a file; Windows drops dots and spaces at the end.
    name = _FORBIDDEN.sub("_", name).strip(". ")
    name = name.encode()[:MAX_NAME].decode(errors="ignore")
    return name if name.strip("._ ") else default
