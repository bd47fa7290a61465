"""Which category of an annotation file each class name of a config means.

Labels are positions in the config's list of names; category ids are whatever the file says, in any
order and with any gaps. Names that differ in spelling are the usual cause of an AP of 0, so they
are an error before anything runs.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.logging import print_log

from glip.text.prompt import clean_name
from glip.utils.errors import AnnotationFileError, DataError

#: Two names this alike (difflib's ratio, 0 to 1) are taken for two spellings of one.
ALIKE = 0.8


def check_classes(classes: Any) -> tuple[str, ...]:
    """Check the class names of a data set.

    Raises:
        DataError: they are not a list of different names.
    """
    if isinstance(classes, str):
        raise DataError(
            f"the classes are one text, {classes!r}: expected a list of names. A single name is "
            f"written ({classes!r},) with a comma, and a file of names must exist."
        )
    if not isinstance(classes, Sequence) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"expected the classes as a list of names, got {classes!r}.")
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise DataError(f"the classes name {twice} twice; each name stands for one label.")
    return tuple(classes)


def match_categories(
    classes: Sequence[str],
    categories: Sequence[dict[str, Any]],
    used: Collection[Any],
    path: str,
    *,
    same_order: bool = False,
) -> list[Any]:
    """Find the category id of each class name.

    A class may be missing from the file (nothing is annotated as it then), unless something there
    is spelled nearly the same. Categories that no class names are left alone.

    Args:
        classes: the names, label by label.
        categories: the file's entries, each with ``id`` and ``name``.
        used: the category ids that some annotation has. Where two categories have one name (as
            Roboflow's exports do), the one in use is meant.
        path: of the file, for messages.
        same_order: where the names differ, also accept the categories by position, if there are as
            many and each, cleaned for a caption, reads like the class of its place.

    Returns:
        For each class its category id, None where the file lacks it.

    Raises:
        AnnotationFileError: no name is in the file, a name is spelled differently, or a name means
            two categories.
    """
    by_name = defaultdict(list)
    for category in categories:
        by_name[category.get("name")].append(category["id"])
    missing = [name for name in classes if name not in by_name]
    if missing and same_order and _reads_alike(classes, categories):
        return sorted(category["id"] for category in categories)
    if missing:
        _complain(classes, missing, [name for name in by_name if name not in classes], path)
    return [_only(by_name[name], name, used, path) if name in by_name else None for name in classes]


def _only(ids: list[Any], name: str, used: Collection[Any], path: str) -> Any:
    """Choose among the categories of one name."""
    if len(ids) == 1:
        return ids[0]
    in_use = [number for number in ids if number in used]
    if len(in_use) > 1:
        raise AnnotationFileError(
            f"'{path}' calls the categories {in_use} all {name!r}, and has annotations of each: "
            "rename them, or give their annotations one category id."
        )
    return in_use[0] if in_use else ids[0]


def _complain(classes: Sequence[str], missing: list[str], others: Sequence[Any], path: str) -> None:
    """Raise if the missing names look like a mistake, warn if they may just be absent.

    Args:
        classes: all names of the config.
        missing: those that the file lacks.
        others: the names of the file that the config lacks.
        path: of the file.
    """
    others = [str(name) for name in others]
    pairs = [(name, other) for name in missing if (other := _alike(name, others)) is not None]
    listed = ", ".join(repr(name) for name in others) or "no other name"
    if pairs:
        lines = [f"  {name!r} is not in the file, but {other!r} is" for name, other in pairs]
        rest = [name for name in missing if name not in dict(pairs)]
        if rest:
            lines.append("  not in the file either: " + ", ".join(repr(name) for name in rest))
        raise AnnotationFileError(
            f"the class names and the categories of '{path}' do not match:\n"
            + "\n".join(lines)
            + "\nWrite the names as the file does (metainfo=dict(classes=...)). To ask the model "
            "in other words than the file's, use caption_prompt."
        )
    if len(missing) == len(classes):
        raise AnnotationFileError(
            f"none of the {len(classes)} class names is a category of '{path}'. The classes are "
            f"{_some(classes)}; the file has {listed}. Set metainfo=dict(classes=...) to names of "
            "the file."
        )
    print_log(
        f"'{path}' has no category for {len(missing)} of {len(classes)} classes, so nothing counts "
        f"for them: {_some(missing)}. It has besides: {listed}.",
        logger="current",
        level=logging.WARNING,
    )


def _alike(name: str, others: Sequence[str]) -> str | None:
    """Return the other name that is probably meant, if there is one."""
    plain = {_plain(other): other for other in others}
    if _plain(name) in plain:
        return plain[_plain(name)]
    near = get_close_matches(_plain(name), plain, n=1, cutoff=ALIKE)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    """Reduce a name to what its spellings share: letters and digits, in lower case."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name


def _reads_alike(classes: Sequence[str], categories: Sequence[dict[str, Any]]) -> bool:
    ordered = sorted(categories, key=lambda category: category["id"])
    return len(classes) == len(ordered) and all(
        clean_name(name).casefold() == clean_name(str(category.get("name"))).casefold()
        for name, category in zip(classes, ordered, strict=True)
    )


def _some(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown + (f", ... ({len(names)} in all)" if len(names) > limit else "")
