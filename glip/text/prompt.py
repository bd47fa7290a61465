"""Prompts: a caption, its phrases, and their character spans.

There are four kinds, each with a constructor of :class:`Prompt`: class names, a caption with given
character spans, a caption whose noun phrases are found automatically, and a caption as one phrase.
Labels of detections are the 0-based indices of a prompt's phrases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from operator import index

from glip.text.noun_phrases import find_noun_phrases
from glip.utils.errors import PromptError

#: Half-open range of characters in a caption.
Span = tuple[int, int]

#: Separator of class names, that of the official COCO evaluation (``bench. car``).
SEPARATOR = ". "


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
        if not self.caption.strip():
            raise PromptError(
                "the prompt is empty: expected class names or a sentence, for example "
                "'bench . car .'"
            )
        if not any(phrase.spans for phrase in self.phrases):
            raise PromptError(
                f"found no phrase to detect in {self.caption!r}: give class names "
                "('bench . car .') or the character spans of the phrases"
            )
        for phrase in self.phrases:
            for start, end in phrase.spans:
                if not 0 <= start < end <= len(self.caption):
                    raise PromptError(
                        f"span [{start}, {end}) of phrase {phrase.name!r} is not inside the "
                        f"caption of {len(self.caption)} characters {self.caption!r}; expected "
                        "0 <= start < end <= length"
                    )
                if not self.caption[start:end].strip():
                    raise PromptError(
                        f"span [{start}, {end}) of the caption {self.caption!r} holds only spaces"
                    )

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
            PromptError: no names, or one that is empty once cleaned.
        """
        phrases: list[Phrase] = []
        caption = ""
        for name in names:
            before, words, after = name_in_caption(name, descriptions)
            if not words and not allow_blank:
                raise PromptError(
                    f"class name number {len(phrases)} is empty ({name!r}): expected words, for "
                    "example 'traffic light'"
                )
            caption += separator if phrases else ""
            begin = len(caption)
            caption += before + words
            spans = ((len(caption) - len(words), len(caption)),) if words else ()
            caption += after
            phrases.append(Phrase(name, spans, (begin, len(caption))))
        return cls(caption, tuple(phrases), is_class_list=True)

    @classmethod
    def from_class_text(cls, text: str) -> Prompt:
        """Create a prompt from period-separated class names: ``'bench . car .'``.

        Raises:
            PromptError: the text has no name.
        """
        return cls.from_class_names(split_class_text(text))

    @classmethod
    def from_spans(
        cls, caption: str, spans: Sequence[Sequence[Sequence[int]]], names: Sequence[str] = ()
    ) -> Prompt:
        """Create a prompt from a caption and the character spans of its phrases.

        Args:
            caption: any sentence.
            spans: for each phrase its half-open spans ``[[start, end], ...]``, or ``[start, end]``
                for a single one.
            names: names of the phrases; by default their characters, joined with spaces.

        Raises:
            PromptError: a span is not a pair of numbers inside the caption.
        """
        if names and len(names) != len(spans):
            raise PromptError(f"expected a name for each of {len(spans)} spans, got {len(names)}")
        phrases: list[Phrase] = []
        for ranges in spans:
            parts = _check_ranges(ranges, caption)
            text = " ".join(caption[start:end].strip() for start, end in parts)
            phrases.append(Phrase(names[len(phrases)] if names else text, parts))
        return cls(caption, tuple(phrases))

    @classmethod
    def from_caption(cls, caption: str, *, np_extractor: str = "rules") -> Prompt:
        """Create a prompt from a caption and its noun phrases; each mention is a phrase.

        Args:
            caption: any sentence.
            np_extractor: ``'rules'``, or ``'spacy'`` if spaCy is installed.

        Raises:
            PromptError: no noun phrase was found.
        """
        found = find_noun_phrases(caption, np_extractor)
        return cls(caption, tuple(Phrase(name, (span,)) for name, span in found))

    @classmethod
    def from_whole_caption(cls, caption: str) -> Prompt:
        """Create a prompt with the whole caption as its only phrase, label 0.

        Raises:
            PromptError: the caption is empty.
        """
        return cls(caption, (Phrase(caption.strip(), ((0, len(caption)),)),))


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
    name = re.sub(r"\(.*?\)", "", name.replace("_", " "))
    return re.sub(r"\s+", " ", name).strip()


def split_class_text(text: str) -> list[str]:
    """Split ``'bench . car .'`` into names.

    A name ends at a period that is followed by a space or the end, so ``'u.s. flag'`` keeps its
    first period but ``'bench. car'`` is two names. Empty names are skipped.
    """
    parts = re.split(r"\s*\.+(?=\s|$)\s*", text)
    return [part.strip() for part in parts if part.strip()]


def _check_ranges(ranges: Sequence[Sequence[int]], caption: str) -> tuple[Span, ...]:
    try:
        if len(ranges) == 2 and all(isinstance(edge, Integral) for edge in ranges):
            ranges = [ranges]  # type: ignore[list-item]  # one range, without its outer brackets
        checked = tuple((index(start), index(end)) for start, end in ranges)
    except (TypeError, ValueError) as error:
        raise PromptError(
            "expected the spans of each phrase as [[start, end], ...], got "
            f"{ranges!r}. One phrase of {caption!r} would be [[0, {len(caption.split(' ')[0])}]]"
        ) from error
    if not checked:
        raise PromptError(
            f"a phrase of {caption!r} has no spans: expected at least one [start, end]"
        )
    return checked
