"""Find keys that occur twice in an object of a JSON file, of which Python keeps the last value."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from mmengine.logging import print_log

from glip.utils.messages import shorten


class RepeatedKey(NamedTuple):
    """A key that occurs in an object with two different values.

    Attributes:
        entry: The object, with the last value.
        key: The key.
        values: All its values, in the order of the file.
    """

    entry: dict[str, Any]
    key: str
    values: list[Any]


class PairsHook:
    """The ``object_pairs_hook`` of :mod:`json` that collects repeated keys.

    A key that is repeated with the same value is not counted: it makes no difference.

    Attributes:
        found: The repeated keys, in the order of the file.
    """

    def __init__(self) -> None:
        self.found: list[RepeatedKey] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Build an object."""
        entry = dict(pairs)
        if len(entry) < len(pairs):
            for key, count in Counter(key for key, _ in pairs).items():
                values = [value for name, value in pairs if name == key]
                if count > 1 and any(value != values[0] for value in values):
                    self.found.append(RepeatedKey(entry, key, values))
        return entry


def loads(data: bytes) -> tuple[Any, list[RepeatedKey]]:
    """Parse JSON; return its value and the repeated keys.

    The hook takes as long again as parsing, so the keys in the file are counted first, and compared
    with those of the parsed objects. The count is too high where a text contains ``":``, and too
    low for other encodings and spaces: then the hook decides.

    Raises:
        ValueError: It is not valid JSON.
        RecursionError: It is nested too deeply.
    """
    content = json.loads(data)
    missing = data.count(b'":') + data.count(b'" :') - _count_keys(content)
    if missing == 0 or (missing > 0 and missing == _count_nested(content)):
        return content, []
    hook = PairsHook()
    return json.loads(data, object_pairs_hook=hook), hook.found


def explain(found: list[RepeatedKey]) -> str:
    """Return the number of each repeated key, with an example."""
    counts = Counter(each.key for each in found)
    first = {each.key: each for each in reversed(found)}
    listed = [
        f"{shorten(key, 40)} in {count} {'object' if count == 1 else 'objects'} "
        f"({' and then '.join(shorten(value, 40) for value in first[key].values[:3])} in "
        f"{shorten(first[key].entry)})"
        for key, count in counts.most_common(3)
    ]
    more = f" and {len(counts) - 3} further keys" if len(counts) > 3 else ""
    return f"{'; '.join(listed)}{more}"


def warn(path: str, found: list[RepeatedKey]) -> None:
    """Log a warning of the repeated keys of a file, if there are any."""
    if found:
        print_log(
            f"'{path}' has keys twice in one object, with different values: {explain(found)}. The "
            "last value is used; write each key once.",
            logger="current",
            level=logging.WARNING,
        )


def _count_keys(content: Any) -> int:
    """Return the number of keys of a file in COCO's format, of two levels, the list entries'."""
    if not isinstance(content, dict):
        return 0
    lists = [value for value in content.values() if type(value) is list]
    others = [value for value in content.values() if type(value) is dict]
    return len(content) + sum(_count(each) for each in (*lists, others))


def _count_nested(content: Any) -> int:
    """Return the number of keys one level below those of :func:`_count_keys`."""
    if not isinstance(content, dict):
        return 0
    lists = [value for value in content.values() if type(value) is list]
    return sum(
        _count(value for value in entry.values() if type(value) is dict)
        for entries in lists
        for entry in entries
        if type(entry) is dict
    )


def _count(entries: Iterable[Any]) -> int:
    return sum(len(entry) for entry in entries if type(entry) is dict)
