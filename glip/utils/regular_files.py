"""Accept regular files only: a device or a pipe has no end, or blocks for ever."""

from __future__ import annotations

import os
import stat
from os import PathLike


def file_problem(path: str | PathLike[str]) -> str | None:
    """Return why a path cannot be read as a file: "does not exist", "is a folder", ...

    Links are followed, so a link to a device is a device. The file is not opened.

    Returns:
        The end of a sentence that begins with the path; None for a regular file.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # also a name that is too long or holds a zero byte
        if isinstance(error, PermissionError):
            return "cannot be opened (permission denied)"
        return "does not exist"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "is a device, a pipe or a socket, not a regular file"
