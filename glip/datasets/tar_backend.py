"""Image paths that point into a tar archive, and mmengine's file backend that reads them."""

from __future__ import annotations

import re

from mmengine.fileio import BaseStorageBackend, register_backend

from glip.utils.file_ranges import read_range

_SCHEME = "tar://"


def member_url(archive: str, offset: int, size: int, name: str) -> str:
    """Return the URL of a member, which is read without a search in the archive.

    Args:
        archive: Path of the archive, which ends in ``.tar``.
        offset: First byte of the member's content.
        size: Number of bytes of the content.
        name: Name of the member.

    Example:
        >>> member_url("data/train-000.tar", 1536, 24613, "00017.jpg")
        'tar://data/train-000.tar@1536+24613/00017.jpg'
    """
    return f"{_SCHEME}{archive}@{offset}+{size}/{name}"


@register_backend("tar_member", prefixes="tar")
class TarMemberBackend(BaseStorageBackend):
    """Read the members that :func:`member_url` names, for everything built on mmengine's fileio."""

    def get(self, filepath: str) -> bytes:
        """Return the content of a member.

        Raises:
            ValueError: The URL is not of the form that :func:`member_url` returns.
            OSError: The archive cannot be read, or is truncated.
        """
        match = re.fullmatch(rf"{_SCHEME}(.+?\.tar)@(\d+)\+(\d+)/.*", str(filepath), re.DOTALL)
        if match is None:
            raise ValueError(f"expected tar://ARCHIVE.tar@OFFSET+SIZE/NAME, got '{filepath}'")
        return read_range(match[1], int(match[2]), int(match[3]))

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """Return the content of a member as text."""
        return self.get(filepath).decode(encoding)
