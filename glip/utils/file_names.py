"""Check names from a file before they become paths."""

from __future__ import annotations

import re

#: Longest name of a file or folder on all usual file systems, in bytes.
MAX_NAME_LENGTH = 255
_DRIVE = re.compile(r"[A-Za-z]:")
#: Names of devices on Windows, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def is_safe_name(name: str) -> bool:
    """Return whether a name can be a file or folder of its own inside a folder.

    Example:
        >>> [is_safe_name(name) for name in ("a.jpg", "..", "a/b", "C:", "NUL.txt", "")]
        [True, False, False, False, False, False]
    """
    return (
        bool(name.strip(". "))  # Windows drops dots and spaces at the end
        and not any(char in name for char in "/\\\0")
        and len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_LENGTH
        and not _DRIVE.match(name)
        and not _RESERVED.fullmatch(name.rstrip(". "))
    )


def is_safe_path(path: str) -> bool:
    r"""Return whether a relative path, with ``/`` between its parts, stays inside its folder.

    Example:
        >>> [is_safe_path(path) for path in ("./a/b.jpg", "a/../b", "/a", "a\\..\\b")]
        [True, False, False, False]
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return not path.startswith("/") and bool(parts) and all(map(is_safe_name, parts))
