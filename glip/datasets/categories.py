"""Match the class names of a config to the categories of an annotation file.

Labels are positions in the config's list of names; category ids are those of the file, in any order
and with any gaps. Names that are spelled differently are the usual cause of an AP of 0, so they
raise an error before anything runs.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from mmengine.logging import print_log

from glip.datasets.annotation_values import id_order
from glip.text.prompt import clean_name
from glip.utils.errors import AnnotationFileError, DataError
from glip.utils.messages import shorten

#: Names of this similarity (difflib's ratio, 0 to 1) are probably two spellings of one name.
MIN_SIMILARITY = 0.8


#: Other spellings of ``metainfo['classes']``, which would be ignored.
_OTHER_NAMES = {
    "class",
    "names",
    "classnames",
    "categories",
    "labels",
    "labelnames",
    "thingclasses",
}


def check_metainfo(metainfo: Any) -> None:
    """Check that the metainfo of a data set names its classes ``classes``.

    Other facts can have any name, but a name that probably means ``classes`` would be ignored.

    Raises:
        DataError: it is no dictionary, or has class names under another key.
    """
    if metainfo is None:
        return
    if not isinstance(metainfo, Mapping):
        raise DataError(
            f"expected metainfo as a dictionary, dict(classes=(...)), got {shorten(metainfo)}"
        )
    for key in metainfo:
        folded = re.sub(r"[\W_]+", "", str(key).casefold())
        similar = get_close_matches(folded, ["classes"], cutoff=MIN_SIMILARITY)
        if key != "classes" and (folded in _OTHER_NAMES or similar):
            raise DataError(
                f"metainfo has the key {shorten(key)}, which is not read: write the class names as "
                "metainfo=dict(classes=(...))"
            )


def check_classes(classes: Any) -> tuple[str, ...]:
    """Check the class names of a data set.

    Returns:
        The names.

    Raises:
        DataError: The classes are not a list of distinct names.
    """
    if isinstance(classes, str):
        raise DataError(
            f"expected the classes as a list of names, got the string {classes!r}. Write a single "
            f"name as ({classes!r},) with a comma; the path of a file of names must exist."
        )
    if not isinstance(classes, Sequence) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"expected the classes as a list of names, got {classes!r}.")
    duplicates = sorted(name for name, count in Counter(classes).items() if count > 1)
    if duplicates:
        raise DataError(f"the classes have {shorten(duplicates)} twice; each name is one label.")
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

    A class may be missing from the file, which then has no annotation of it, unless a category has
    nearly the same name. Categories without a class are ignored.

    Args:
        classes: The class names, label by label.
        categories: The file's entries, each with ``id`` and ``name``.
        used: The category ids that have annotations. Of two categories with the same name (as in
            Roboflow's exports), the used one is chosen.
        path: Path of the file, for messages.
        same_order: Match by the order of the ids if names differ, provided that there are as many
            categories as classes and each name, cleaned for a caption, equals that of its class.

    Returns:
        The category id of each class, None if the file has none.

    Raises:
        AnnotationFileError: No name is in the file, a name is spelled differently, or a name is
            that of two used categories.
    """
    ids = defaultdict(list)
    for category in categories:
        ids[category.get("name")].append(category["id"])
    missing = [name for name in classes if name not in ids]
    if missing and same_order and _are_same_when_cleaned(classes, categories):
        return sorted((category["id"] for category in categories), key=id_order)
    if missing:
        _report_missing(classes, missing, [name for name in ids if name not in classes], path)
    return [_choose(ids[name], name, used, path) if name in ids else None for name in classes]


def _choose(ids: list[Any], name: str, used: Collection[Any], path: str) -> Any:
    """Choose among the categories with one name."""
    used_ids = [key for key in ids if key in used]
    if len(used_ids) > 1:
        raise AnnotationFileError(
            f"'{path}' names the categories {used_ids} all {name!r}, and has annotations of each: "
            "rename them, or give their annotations one category id."
        )
    return used_ids[0] if used_ids else ids[0]


def _report_missing(
    classes: Sequence[str], missing: list[str], others: Sequence[Any], path: str
) -> None:
    """Raise if the missing names are probably a mistake, else warn.

    Args:
        classes: All names of the config.
        missing: The names that the file lacks.
        others: The names of the file that the config lacks.
        path: Path of the file.
    """
    others = [str(name) for name in others]
    pairs = [
        (name, other) for name in missing if (other := _most_similar(name, others)) is not None
    ]
    listed = _list_names(others, 30) or "no other name"
    if pairs:
        lines = [
            f"  {shorten(name)} is not in the file, but {shorten(other)} is"
            for name, other in pairs
        ]
        rest = [name for name in missing if name not in dict(pairs)]
        if rest:
            lines.append("  also not in the file: " + _list_names(rest, 30))
        raise AnnotationFileError(
            f"the class names and the categories of '{path}' do not match:\n"
            + "\n".join(lines)
            + "\nWrite the names as in the file (metainfo=dict(classes=...)). To prompt the model "
            "with other words, use caption_prompt."
        )
    if len(missing) == len(classes):
        raise AnnotationFileError(
            f"none of the {len(classes)} class names is a category of '{path}'. The classes are "
            f"{_list_names(classes)}; the file has {listed}. Set metainfo=dict(classes=...) to "
            "names of the file."
        )
    print_log(
        f"'{path}' has no category for {len(missing)} of {len(classes)} classes, which therefore "
        f"have no annotations: {_list_names(missing)}. Its other categories are: {listed}.",
        logger="current",
        level=logging.WARNING,
    )


def _most_similar(name: str, others: Sequence[str]) -> str | None:
    """Return the other name that is probably meant, or None."""
    normalized = {_normalize(other): other for other in others}
    if _normalize(name) in normalized:
        return normalized[_normalize(name)]
    close = get_close_matches(_normalize(name), normalized, n=1, cutoff=MIN_SIMILARITY)
    return normalized[close[0]] if close else None


def _normalize(name: str) -> str:
    """Return the letters and digits of a name in lower case."""
    return re.sub(r"[\W_]+", "", name.casefold()) or name


def _are_same_when_cleaned(classes: Sequence[str], categories: Sequence[dict[str, Any]]) -> bool:
    ordered = sorted(categories, key=lambda category: id_order(category["id"]))
    return len(classes) == len(ordered) and all(
        clean_name(name).casefold() == clean_name(str(category.get("name"))).casefold()
        for name, category in zip(classes, ordered, strict=True)
    )


def _list_names(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(shorten(name) for name in names[:limit])
    return shown + (f", ... ({len(names)} in total)" if len(names) > limit else "")
