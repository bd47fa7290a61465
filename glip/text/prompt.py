"""Prompts: a caption, its phrases, and their character spans.

There are four kinds, each with a constructor of :class:`Prompt`: class names, a caption with given
character spans, a caption whose noun phrases are found automatically, and a caption as one phrase.
Labels of detections are the 0-based indices of a prompt's phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glip.text.noun_phrases import find_noun_phrases
from glip.text.validation import (
    Span,
    check_descriptions,
    check_names,
    check_span,
    check_spans,
    check_text,
)
from glip.utils.errors import PromptError
from glip.utils.messages import shorten

#: Separator of class names, that of the official COCO evaluation (``bench. car``).
SEPARATOR = ". "

#: Periods in a row. What follows them is checked afterwards: a pattern with a condition there
#: would try each of them again.
_POINTS = re.compile(r"\.+")


@dataclass(frozen=True)
class Phrase:
    """One object category or description to detect.

    Attributes:
        name: the label name of its detections.
        spans: its half-open character spans in the caption; usually one. A blank class name of a
            data set has none, and is never detected.
        context_span: the range that stays in one chunk when a long caption is split: the spans
            with the words that describe them; by default from the first character of the spans to
            the last.
    """

    name: str
    spans: tuple[Span, ...]
    context_span: Span | None = None

    @property
    def extent(self) -> Span:
        """The range that must stay in one chunk."""
        if self.context_span is not None:
            return self.context_span
        return min(start for start, _ in self.spans), max(end for _, end in self.spans)

    def shifted(self, offset: int) -> Phrase:
        """Return the phrase with ``offset`` added to all character positions."""
        spans = tuple((start + offset, end + offset) for start, end in self.spans)
        start, end = self.extent
        return Phrase(self.name, spans, (start + offset, end + offset))


@dataclass(frozen=True)
class Prompt:
    """A caption and its phrases.

    Attributes:
        caption: the text the language encoder reads.
        phrases: the phrases to detect, in the order of the labels.
        is_class_list: whether the caption is a list of class names, which can be split between any
            two phrases, or a sentence, which is split only if it is too long.

    Raises:
        PromptError: the caption is empty, there is no phrase, or a span is not inside the caption.
    """

    caption: str
    phrases: tuple[Phrase, ...]
    is_class_list: bool = False

    def __post_init__(self) -> None:
        if not check_text(self.caption).strip():
            raise PromptError(
                "the prompt is empty: expected class names or a sentence, for example "
                "'bench . car .'"
            )
        if not any(phrase.spans for phrase in self.phrases):
            raise PromptError(
                f"found no phrase to detect in {shorten(self.caption)}: give class names "
                "('bench . car .') or the character spans of the phrases"
            )
        for phrase in self.phrases:
            for span in phrase.spans:
                check_span(span, phrase.name, self.caption)

    @property
    def names(self) -> list[str]:
        """The phrases' names; label i is ``names[i]``."""
        return [phrase.name for phrase in self.phrases]

    @classmethod
    def from_class_names(
        cls,
        names: Iterable[str],
        *,
        separator: str = SEPARATOR,
        descriptions: Mapping[str, Mapping[str, str]] | None = None,
        allow_blank: bool = False,
    ) -> Prompt:
        """Create a prompt from class names, one phrase each.

        Names are cleaned by :func:`clean_name` for the caption and kept unchanged in
        :attr:`names`. The same name twice gives two labels.

        Args:
            names: the class names.
            separator: text between two names (nothing follows the last).
            descriptions: for some names a ``prefix``, another ``name`` and a ``suffix`` for the
                caption, ODinW's caption prompts; only the name's characters count as the phrase.
            allow_blank: keep names that are empty once cleaned as labels that are never detected,
                for data sets that have one (ODinW's ChessPieces).

        Raises:
            PromptError: no names, one that is no string or is empty once cleaned, or ``names`` is a
                single string, a set or a dictionary.
        """
        phrases: list[Phrase] = []
        parts: list[str] = []
        descriptions = check_descriptions(descriptions)
        begin = 0  # of the name in the caption
        for name in check_names(names):
            before, words, after = name_in_caption(name, descriptions)
            if not words and not allow_blank:
                raise PromptError(
                    f"class name number {len(phrases)} is empty ({shorten(name)}): expected words, "
                    "for example 'traffic light'"
                )
            start = begin + len(before)
            end = start + len(words)
            spans = ((start, end),) if words else ()
            phrases.append(Phrase(name, spans, (begin, end + len(after))))
            parts.append(before + words + after)
            begin = end + len(after) + len(separator)
        return cls(separator.join(parts), tuple(phrases), is_class_list=True)

    @classmethod
    def from_class_text(cls, text: str) -> Prompt:
        """Create a prompt from period-separated class names: ``'bench . car .'``.

        Raises:
            PromptError: the text has no name.
        """
        return cls.from_class_names(split_class_text(check_text(text, "class names")))

    @classmethod
    def from_spans(cls, caption: str, spans: Any, names: Sequence[str] = ()) -> Prompt:
        """Create a prompt from a caption and the character spans of its phrases.

        Args:
            caption: any sentence.
            spans: for each phrase its half-open spans ``[[start, end], ...]``, or ``[start, end]``
                for a single one; lists, tuples, arrays or tensors of whole numbers.
            names: names of the phrases; by default their characters, joined with spaces.

        Raises:
            PromptError: a span is not a pair of whole numbers inside the caption.
        """
        check_text(caption)
        checked = check_spans(spans, caption)
        given = check_names(names)
        if given and len(given) != len(checked):
            raise PromptError(f"expected a name for each of {len(checked)} spans, got {len(given)}")
        phrases: list[Phrase] = []
        for parts in checked:
            text = " ".join(caption[start:end].strip() for start, end in parts)
            phrases.append(Phrase(given[len(phrases)] if given else text, parts))
        return cls(caption, tuple(phrases))

    @classmethod
    def from_caption(cls, caption: str, *, np_extractor: str = "rules") -> Prompt:
        """Create a prompt from a caption and its noun phrases; each mention is a phrase.

        Args:
            caption: any sentence.
            np_extractor: ``'rules'``, or ``'spacy'`` if spaCy is installed.

        Raises:
            PromptError: no noun phrase was found, or there is no such extractor.
            DependencyError: spaCy or its model is not installed.
        """
        found = find_noun_phrases(check_text(caption), np_extractor)
        return cls(caption, tuple(Phrase(name, (span,)) for name, span in found))

    @classmethod
    def from_whole_caption(cls, caption: str) -> Prompt:
        """Create a prompt with the whole caption as its only phrase, label 0.

        Raises:
            PromptError: the caption is empty.
        """
        return cls(caption, (Phrase(check_text(caption).strip(), ((0, len(caption)),)),))


def name_in_caption(
    name: str, descriptions: Mapping[str, Mapping[str, str]] | None = None
) -> tuple[str, str, str]:
    """Return a class name's part of the caption: the words before it, its own, the words after.

    Args:
        name: the class name.
        descriptions: see :meth:`Prompt.from_class_names`.
    """
    description = (descriptions or {}).get(name, {})
    own = clean_name(description.get("name", name))
    return description.get("prefix", ""), own, description.get("suffix", "")


def clean_name(name: str) -> str:
    """Clean a class name as the official code does.

    Underscores become spaces, parenthesised parts are removed, runs of spaces collapse:
    ``'crab_(animal)'`` becomes ``'crab'``.
    """
    # A search for "(" and ")" instead of the pattern "\(.*?\)", which takes quadratic time for
    # unclosed parentheses; like the pattern, within a line.
    lines = map(_remove_parentheses, name.replace("_", " ").split("\n"))
    return " ".join(" ".join(lines).split())


def _remove_parentheses(line: str) -> str:
    parts, begin = [], 0
    while (start := line.find("(", begin)) >= 0 and (end := line.find(")", start)) >= 0:
        parts.append(line[begin:start])
        begin = end + 1
    return "".join(parts) + line[begin:]


def split_class_text(text: str) -> list[str]:
    """Split ``'bench . car .'`` into names.

    A name ends at a period that is followed by a space or the end, so ``'u.s. flag'`` keeps its
    first period but ``'bench. car'`` is two names. Empty names are skipped.
    """
    parts, begin = [], 0
    for points in _POINTS.finditer(text):
        if points.end() == len(text) or text[points.end()].isspace():
            parts.append(text[begin : points.start()])
            begin = points.end()
    return [part.strip() for part in (*parts, text[begin:]) if part.strip()]
