"""Check what users and data sets give as a prompt, before anything is made of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, KeysView, Mapping, Sequence, Set
from numbers import Integral, Number
from operator import index
from typing import Any

from glip.utils.errors import PromptError
from glip.utils.messages import shorten, suggest

#: Half-open range of characters in a caption.
Span = tuple[int, int]

#: More names than any data set has; an endless generator of names ends here.
MAX_NAMES = 1_000_000

#: Control characters other than white space, which the tokenizer drops without a word.
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_VISIBLE = re.compile(r"\S")
#: What :func:`check_descriptions` takes for a name.
_DESCRIPTION_PARTS = ("prefix", "name", "suffix")


def check_text(text: Any, what: str = "a sentence") -> str:
    """Return a text if it is one that can be encoded.

    Args:
        text: what was given.
        what: what was expected, for the message.

    Raises:
        PromptError: it is no string, or has lone surrogates.
    """
    if not isinstance(text, str):
        kind = type(text).__name__
        raise PromptError(f"expected {what} as a string, got {kind}: {shorten(text)}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            f"the text {shorten(text)} is not valid Unicode: character {error.start} is the lone "
            f"surrogate {text[error.start]!a}. It was decoded with a wrong encoding; write it "
            "in UTF-8 (on the command line, in a terminal with a UTF-8 locale)"
        ) from None
    return text


def check_custom_entities(value: Any) -> bool:
    """Return ``custom_entities``: True, False, 1, 0 or None, which is False.

    Raises:
        PromptError: it is something else, such as the text ``'no'``, which would count as true.
    """
    value = to_lists(value)
    if value is None or (isinstance(value, (bool, int)) and value in (0, 1)):
        return bool(value)
    raise PromptError(f"expected custom_entities as True or False, got {shorten(value)}")


def check_names(names: Any) -> list[str]:
    """Return class names as a list.

    Args:
        names: a list, a tuple, an array, a generator, ... of strings.

    Raises:
        PromptError: it is a single string, has no order, or an item is no string.
    """
    if isinstance(names, str):
        raise PromptError(
            f"expected a list of class names, got the string {shorten(names)}, whose letters "
            "would be the names; put it into a list, or use Prompt.from_class_text for "
            "'bench . car .'"
        )
    names = to_lists(names)
    if isinstance(names, Set) and not isinstance(names, KeysView):
        raise _wrong_kind(names, "a set has no order, and labels are positions; sort it")
    if isinstance(names, Mapping):
        raise _wrong_kind(names, "pass a list of its keys or of its values")
    if isinstance(names, (str, bytes, bytearray, memoryview)) or not isinstance(names, Iterable):
        raise _wrong_kind(names)
    checked: list[str] = []
    for number, name in enumerate(names):
        if not isinstance(name, str):
            given = names if isinstance(names, Sequence) else [*checked, name]
            raise _wrong_kind(given, f"name number {number} is {_advice(name)}")
        if number == MAX_NAMES:
            raise PromptError(f"expected at most {MAX_NAMES} class names, got more")
        _check_name(name, number)
        checked.append(name)
    return checked


def _wrong_kind(names: object, advice: str = "") -> PromptError:
    return PromptError(
        "expected the prompt as a text ('bench . car .'), a list of names or a glip.text.Prompt, "
        f"got {type(names).__name__}: {shorten(names)}" + (f"; {advice}" if advice else "")
    )


def _advice(name: object) -> str:
    """Return what an item is that should be a name, and what to do about it."""
    shown = f"of type {type(name).__name__}: {shorten(name)}"
    if isinstance(name, (list, tuple)):
        return f"{shown}; a list of lists is a prompt for each of several images"
    if isinstance(name, Number) and not isinstance(name, bool) and name == name:
        return f"{shown}; write a number as a text, '{shorten(name)}'"
    return f"{shown}; write every name as a text"


def _check_name(name: str, number: int) -> None:
    check_text(name)
    # A name of nothing else has no token, which the tokenizer reports.
    if (found := _CONTROL.search(name)) and _CONTROL.sub("", name).strip():
        raise PromptError(
            f"class name number {number}, {shorten(name)}, has the control character "
            f"{found[0]!a}: remove it"
        )
    if name.lstrip().startswith("$:"):
        raise PromptError(
            f"class name number {number} is {shorten(name)}: '$: coco' stands for all class names "
            "of a data set only if it is the whole prompt, as one quoted text"
        )


def check_spans(tokens_positive: Any, caption: str) -> list[tuple[Span, ...]]:
    """Return the character spans of each phrase of a caption.

    Args:
        tokens_positive: for each phrase ``[[start, end], ...]``, or ``[start, end]`` for a single
            span; lists, tuples, arrays or tensors.
        caption: the caption.

    Raises:
        PromptError: it is something else. Whether the spans are inside the caption is not checked.
    """
    phrases = to_lists(tokens_positive)
    if not isinstance(phrases, Sequence) or isinstance(phrases, (str, bytes)):
        raise PromptError(
            "expected the spans of each phrase as [[start, end], ...] in a list (tokens_positive), "
            f"got {shorten(phrases)}"
        )
    return [_check_ranges(to_lists(ranges), caption) for ranges in phrases]


def _check_ranges(ranges: Any, caption: str) -> tuple[Span, ...]:
    try:
        if len(ranges) == 2 and not any(isinstance(edge, Iterable) for edge in ranges):
            ranges = [ranges]  # one range, without its outer brackets
        checked = tuple((_edge(start), _edge(end)) for start, end in map(to_lists, ranges))
    except (TypeError, ValueError):
        end = len(caption.split(" ", maxsplit=1)[0])
        raise PromptError(
            "expected the spans of each phrase as [[start, end], ...], got "
            f"{shorten(ranges)}; start and end are integers. The "
            f"first word of {shorten(caption)} would be [[0, {end}]]"
        ) from None
    if not checked:
        raise PromptError(
            f"a phrase of {shorten(caption)} has no spans: expected at least one [start, end]"
        )
    return checked


def _edge(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError("no integer")  # _check_ranges says what was expected
    return index(value)


def check_span(span: Span, name: str, caption: str) -> None:
    """Check that a span is inside a caption.

    Raises:
        PromptError: it is not, or holds only white space.
    """
    start, end = span
    if not 0 <= start < end <= len(caption):
        shown = f"[{shorten(start, 20)}, {shorten(end, 20)})"
        raise PromptError(
            f"span {shown} of phrase {shorten(name)} is not inside the caption of {len(caption)} "
            f"characters {shorten(caption)}; expected 0 <= start < end <= length"
        )
    if not _VISIBLE.search(caption, start, end):
        raise PromptError(
            f"span [{start}, {end}) of the caption {shorten(caption)} holds only spaces"
        )


def check_descriptions(descriptions: Any) -> dict[str, dict[str, str]]:
    """Return the other wordings of class names (``caption_prompt``).

    Args:
        descriptions: ``{name: {'prefix': ..., 'name': ..., 'suffix': ...}}``, or None.

    Raises:
        PromptError: it is something else.
    """
    if descriptions is None:
        return {}
    expected = (
        "expected caption_prompt as {class name: {'prefix': text, 'name': text, 'suffix': text}}"
    )
    if not isinstance(descriptions, Mapping):
        raise PromptError(f"{expected}, got {type(descriptions).__name__}: {shorten(descriptions)}")
    for name, parts in descriptions.items():
        if not isinstance(name, str) or not isinstance(parts, Mapping):
            raise PromptError(f"{expected}, got {shorten(name)}: {shorten(parts)}")
        for part, words in parts.items():
            if part not in _DESCRIPTION_PARTS:
                raise PromptError(
                    f"caption_prompt of {shorten(name)} has the unknown key {shorten(part)}: "
                    f"{suggest(part, _DESCRIPTION_PARTS)}"
                )
            if not isinstance(words, str):
                raise PromptError(
                    f"{expected}, got {shorten(words)} as the {part} of {shorten(name)}"
                )
            check_text(words)
    return dict(descriptions)


def to_lists(value: Any) -> Any:
    """Convert an array or a tensor to lists; return anything else unchanged."""
    return value.tolist() if hasattr(value, "tolist") else value
