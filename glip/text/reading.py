"""Say how a prompt was read where it was probably meant otherwise.

Nothing here changes a meaning: a doubtful prompt gives a warning that shows its names.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from glip.text.prompt import Prompt
from glip.utils.messages import shorten

_logger = logging.getLogger("glip")

#: What people put between class names instead of a period between spaces. A name may contain one:
#: see :func:`_find_separator`.
_SEPARATOR = re.compile(
    r"""
    \\[nrt]                                    # a line break that a shell did not expand
    | [,;|/\\\n\r\t\v\f\x85\u2028\u2029]           # punctuation, new lines, tabs
    | [\u3002\u3001\uff0c\uff1b\uff5c\uff0f\uff0e\uff61\uff64\u30fb\u060c\u061b\u06d4\u0964]
                                                 # the same in Chinese, Japanese, Arabic, Hindi
    | [\u2022\u00b7\u2023\u25e6\u25aa\u25cf]     # bullets
    | (?:^|\s)[-\u2013\u2014+*>]+\s              # dashes, list marks
    | (?:^|\s)\d+[.)](?:\s|$)                    # numbers of a list
    | \.(?=\s)                                   # in a list of names, where no text is split
    | (?<=\s)\.
    | (?<![\d.])\.(?=[^\W\d_])                   # 'cat.dog', but not '1.5' or '...'
    """,
    re.VERBOSE,
)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u300c\u300d"
_BRACKETS = "[]{}<>"
#: Names that a warning shows.
_SHOWN = 3


def warn_doubtful(
    prompts: Iterable[Prompt],
    *,
    logger: logging.Logger = _logger,
    without: Collection[str] = (),
) -> None:
    """Log how prompts were read, once for each kind of doubt.

    Args:
        prompts: the prompts of one call.
        logger: where to log.
        without: kinds of doubt that are not logged, see :func:`find_doubts`.
    """
    distinct = {id(prompt): prompt for prompt in prompts}
    doubts: dict[str, list[str]] = {}
    for prompt in distinct.values():
        for kind, message in find_doubts(prompt).items():
            if kind not in without:
                doubts.setdefault(kind, []).append(message)
    for messages in doubts.values():
        more = len(messages) - 1
        logger.warning("%s", messages[0] + (f" ({more} more prompts like this)" if more else ""))


def find_doubts(prompt: Prompt) -> dict[str, str]:
    """Return the reasons to doubt that class names were read as they were meant.

    Args:
        prompt: the prompt; a caption gives no doubts.

    Returns:
        For each kind of doubt a message that shows the names.
    """
    if not prompt.is_class_list:
        return {}
    names = [name for name in prompt.names if name.strip()]
    doubts = {
        "separator": _doubt_separator(names),
        "numbers": _doubt_numbers(names),
        "quotes": _doubt_quotes(names),
        "punctuation": _doubt_punctuation(names),
        "replacement": _doubt_replacement(names),
        "duplicates": _doubt_duplicates(names),
    }
    return {kind: message for kind, message in doubts.items() if message}


def _doubt_separator(names: Sequence[str]) -> str:
    found = [(name, separator) for name in names if (separator := _find_separator(name))]
    # In a longer list the names themselves hold commas: 'mug, with a handle' among others.
    if not found or 2 * len(found) < len(names):
        return ""
    name, separator = found[0]
    parts = [part.strip(_QUOTES + _BRACKETS + " -*+>") for part in _SEPARATOR.split(name)]
    meant = " . ".join(part for part in parts if part)
    # What is written in the text, in one line: a new line as '\n'.
    shown = repr(separator)
    if not meant:
        return ""
    return (
        f"the prompt was read as {_list(names)}; class names are separated by ' . '. If {shown} "
        f"separates names, write {shorten(meant + ' .')} or pass a list of names"
    )


def _find_separator(name: str) -> str:
    """Return what looks like a separator in a name, or ``''``."""
    text = name.strip()
    for found in _SEPARATOR.finditer(text):
        separator = found[0].strip(" ") or found[0]
        inside = text[: found.start()].strip() and text[found.end() :].strip()
        if inside or separator in "-*+>\u2022" or separator[:1].isdigit():
            return separator
    return ""


def _doubt_numbers(names: Sequence[str]) -> str:
    """Find '1. dog 2. cat', whose periods end the names '1', 'dog 2' and 'cat'."""
    if len(names) < 2 or names[0] != "1" or not re.search(r"(^|\s)2$", " ".join(names[:2])):
        return ""
    return (
        f"the prompt was read as {_list(names)}; class names are separated by ' . ' and not "
        "numbered: remove the numbers"
    )


def _doubt_quotes(names: Sequence[str]) -> str:
    marked = [
        name
        for name in names
        if len(name.strip()) > 1
        and name.strip()[0] in _QUOTES + _BRACKETS + "("
        and name.strip()[-1] in _QUOTES + _BRACKETS + ")"
    ]
    if not marked:
        return ""
    return (
        f"the prompt was read as {_list(names)}; the quotation marks or brackets of "
        f"{shorten(marked[0])} are part of the name: remove them"
    )


def _doubt_punctuation(names: Sequence[str]) -> str:
    empty = [name for name in names if all(map(_is_punctuation, name))]
    if not empty:
        return ""
    return (
        f"{_count(empty)} without a letter or a digit, for example {shorten(empty[0])}: the model "
        "does not know what to detect; write words"
    )


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PZC" or char in "+<=>^`|~$_"


def _doubt_replacement(names: Sequence[str]) -> str:
    damaged = [name for name in names if "\ufffd" in name]
    if not damaged:
        return ""
    return (
        f"{_count(damaged)} with the replacement character U+FFFD, for example "
        f"{shorten(damaged[0])}: the text was decoded with a wrong encoding; read it as UTF-8"
    )


def _doubt_duplicates(names: Sequence[str]) -> str:
    counts = Counter(name.strip() for name in names)
    repeated = [name for name, count in counts.items() if count > 1]
    if not repeated:
        return ""
    return (
        f"{_count(repeated)} given more than once, for example {shorten(repeated[0])} "
        f"({counts[repeated[0]]} times): each is a label of its own, with the same detections; "
        "remove the duplicates"
    )


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} class name{'' if len(names) == 1 else 's'}"


def _list(names: Sequence[str]) -> str:
    """Return the number of names and the first of them."""
    shown = ", ".join(shorten(name, 100 if len(names) == 1 else 40) for name in names[:_SHOWN])
    return f"{_count(names)}: {shown}{', ...' if len(names) > _SHOWN else ''}"
