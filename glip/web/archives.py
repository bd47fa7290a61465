"""Zip files of visitors: what is in them is untrusted."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from zlib import error as zlib_error

from glip.utils.errors import DataError
from glip.utils.image_files import is_image_file
from glip.utils.messages import shorten

_BLOCK = 1 << 20


def extract_images(archive: Path, folder: Path, max_images: int, max_bytes: int) -> int:
    """Extract the images of a zip file; other files are skipped.

    Args:
        archive: the zip file.
        folder: an empty folder.
        max_images: that it may have.
        max_bytes: of all images together. Bytes are counted as they are decompressed: a zip file
            can declare any size.

    Returns:
        The number of images.

    Raises:
        DataError: it is no zip file, is encrypted or damaged, has too many or too large images or
            none, or a member has a path outside the folder or is a link.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            members = [each for each in content.infolist() if _is_image(each)]
            if len(members) > max_images:
                raise DataError(f"expected at most {max_images} images, got {len(members)}")
            if not members:
                raise DataError("the zip file has no images: expected files such as a.jpg")
            left = max_bytes
            for member in members:
                path = folder / safe_path(member)
                path.parent.mkdir(parents=True, exist_ok=True)
                left = _extract(content, member, path, left, max_bytes)
    # A member that is encrypted (RuntimeError), of another compression, or two of which one is a
    # folder in the path of the other (OSError).
    except (zipfile.BadZipFile, RuntimeError, EOFError, zlib_error) as error:
        raise DataError(f"the zip file cannot be read: {error}") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise DataError("two files of the zip file have the same path") from None
    return len(members)


def safe_path(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member below the folder.

    Raises:
        DataError: it is outside the folder, or a link.
    """
    name = member.filename
    path = PurePosixPath(name)
    is_outside = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name
    mode = member.external_attr >> 16
    if is_outside or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise DataError(
            f"the zip file has {shorten(name)}: expected files with paths inside it, and no links"
        )
    return path


def pack_files(folder: Path, archive: Path) -> None:
    """Write the files of a folder to a zip file, without links."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                content.write(path, path.relative_to(folder).as_posix())


def _is_image(member: zipfile.ZipInfo) -> bool:
    # macOS adds a folder of attributes.
    is_hidden = PurePosixPath(member.filename).parts[:1] == ("__MACOSX",)
    return not member.is_dir() and not is_hidden and is_image_file(member.filename)


def _extract(
    content: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, left: int, max_bytes: int
) -> int:
    """Extract a member of at most ``left`` bytes; return how many are left after it."""
    with content.open(member) as source, open(path, "xb") as target:
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise DataError(
                    f"the images of the zip file have more than {max_bytes:,} bytes: use "
                    "`glip label`"
                )
            target.write(block)
    return left
