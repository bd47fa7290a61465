r"""Find the images of an annotation file whose names were written for another folder or system.

Exports from Windows have backslashes (``sub\1.jpg``) or a drive (``D:\data\1.jpg``), labeling
servers write paths of their own (``/data/upload/1.jpg``), and often a name repeats the folder that
``data_prefix`` already names. Such a name is read as the file that exists, if there is one.
"""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mmengine.logging import print_log

#: So many names, evenly spread, are looked up to find out whether names need to be corrected.
_SAMPLED = 20


def find_renamed(names: Sequence[str], exists: Callable[[str], bool]) -> dict[str, str]:
    """Find the files of names that do not exist as they are written.

    Names are only corrected one to one: if two names would be read as one file, neither is.

    Args:
        names: File names, relative to the folder of the images.
        exists: Returns whether a file of this name exists.

    Returns:
        The name of the existing file, by the written name, of the names that need correction.
    """
    unique = list(dict.fromkeys(names))
    sample = unique[:: max(len(unique) // _SAMPLED, 1)]
    wrong = [name for name in unique if "\\" in name and not exists(name)]
    if not all(map(exists, sample)):
        wrong = [name for name in unique if not exists(name)]
    found = {}
    for name in wrong:
        match = next(filter(exists, other_names(name)), None)
        if match is not None:
            found[name] = match
    uses = Counter(os.path.normpath(name) for name in [*unique, *found.values()])
    return {name: match for name, match in found.items() if uses[os.path.normpath(match)] == 1}


def other_names(name: str) -> Iterator[str]:
    """Yield the names that a name may mean: with slashes, then without its first folders."""
    plain = name.replace("\\", "/")
    if plain != name:
        yield plain
    parts = [part for part in re.sub(r"^[A-Za-z]:", "", plain).split("/") if part not in ("", ".")]
    if plain.startswith("/") or ":" in plain[:2]:
        yield "/".join(parts)
    for at in range(1, len(parts)):
        yield "/".join(parts[at:])


def is_local(path: str, backend_args: dict[str, Any] | None) -> bool:
    """Return whether a path is one of the local file system."""
    return not backend_args and "://" not in path


def correct_paths(
    infos: Iterable[dict[str, Any]],
    prefix: str,
    ann_file: str,
    backend_args: dict[str, Any] | None = None,
) -> None:
    """Correct ``img_path`` of data infos, in place, and log how many were corrected.

    Args:
        infos: Data infos, whose ``img_path`` begins with ``prefix`` unless it is absolute.
        prefix: Folder of the images.
        ann_file: Path of the annotation file, for the message.
        backend_args: mmengine's file backend; only local paths are corrected.
    """
    infos = list(infos)
    if not infos or not is_local(prefix, backend_args) or "://" in infos[0]["img_path"]:
        return
    start = os.path.join(prefix, "")
    names = [info["img_path"].removeprefix(start) for info in infos]
    found = find_renamed(names, lambda name: os.path.isfile(os.path.join(prefix, name)))
    if not found:
        return
    for info, name in zip(infos, names, strict=True):
        if name in found:
            info["img_path"] = os.path.join(prefix, found[name])
    written, read = next(iter(found.items()))
    print_log(
        f"{len(found)} file names of '{ann_file}' do not exist in '{prefix}' as they are written, "
        f"and are read as the files that do, for example {written[:200]!r} as {read[:200]!r}. "
        "`glip check FILE --images DIR --fix OUT` writes the file with these names.",
        logger="current",
        level=logging.WARNING,
    )
