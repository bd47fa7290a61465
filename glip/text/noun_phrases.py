"""Find the noun phrases of a caption, which GLIP grounds when no class names are given.

Three steps, none of which downloads anything: this module splits the caption into words,
``lexicon.py`` lists the parts of speech of each word, and ``tagger.py`` chooses one by the context
and groups the words. They are made for English captions; an unknown word is a noun.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from glip.text.tagger import Tagger
from glip.utils.errors import DependencyError, PromptError
from glip.utils.messages import shorten

NP_EXTRACTORS = ("rules", "spacy")

_APOSTROPHES = "'\u2019"
_HYPHENS = "-\u2010\u2011"
_JOINERS = _APOSTROPHES + _HYPHENS + "\u200c\u200d"  # the last two join Persian and Indic letters
_CLITICS = ("'s", "'re", "'ve", "'ll", "'d", "'m")


def find_noun_phrases(
    caption: str, np_extractor: str = "rules"
) -> list[tuple[str, tuple[int, int]]]:
    """Find the noun phrases of a caption.

    Leading determiners, possessives and numerals are not part of a phrase; adjectives are, also
    when joined by "and". Pronouns and words of place ("on the left", "in front of") are no phrases.
    A phrase that occurs twice is returned twice, each time with its own span.

    Args:
        caption: Free text.
        np_extractor: ``'rules'`` (default, needs nothing else) or ``'spacy'`` (spaCy's
            ``noun_chunks`` with the model ``en_core_web_sm``).

    Returns:
        Pairs ``(phrase, (start, end))`` in the order of the caption, never overlapping, with
        ``phrase == caption[start:end]``.

    Raises:
        PromptError: If ``np_extractor`` is neither of the two.
        DependencyError: If ``np_extractor='spacy'`` and spaCy or its model is not installed.

    Example:
        >>> find_noun_phrases("A man in a red shirt rides a bicycle.")
        [('man', (2, 5)), ('red shirt', (11, 20)), ('bicycle', (29, 36))]
    """
    if np_extractor == "rules":
        words = _split_words(caption)
        phrases = Tagger([word.text for word in words]).find_phrases()
        spans = [(words[start].start, words[end - 1].end) for start, end in phrases]
    elif np_extractor == "spacy":
        spans = _find_spacy_spans(caption)
    else:
        raise PromptError(
            f"expected np_extractor out of {NP_EXTRACTORS}, got {shorten(np_extractor)}"
        )
    return [(caption[start:end], (start, end)) for start, end in spans]


@lru_cache
def _load_spacy() -> Callable[[str], Any]:
    """Return spaCy's small English pipeline, loaded once since that takes about a second."""
    cure = "pip install spacy && python -m spacy download en_core_web_sm"
    try:
        import spacy
    except ImportError:
        raise DependencyError(
            f"np_extractor='spacy' needs spaCy, which is not installed. Run `{cure}`, or use "
            "np_extractor='rules', which needs neither."
        ) from None
    try:
        return spacy.load("en_core_web_sm")
    except OSError:  # what spaCy raises for a model it cannot find
        raise DependencyError(
            "np_extractor='spacy' needs the model en_core_web_sm, which is not installed. Run "
            f"`{cure}`, or use np_extractor='rules', which needs neither."
        ) from None


def _find_spacy_spans(caption: str) -> list[tuple[int, int]]:
    """Return the character spans of spaCy's noun chunks without pronouns and determiners."""
    spans = []
    for chunk in _load_spacy()(caption).noun_chunks:
        words = list(chunk)
        while words and (
            words[0].pos_ in ("DET", "NUM", "PRON", "PUNCT", "SPACE") or words[0].tag_ == "PRP$"
        ):
            words.pop(0)
        if words:
            spans.append((words[0].idx, words[-1].idx + len(words[-1].text)))
    return spans


@dataclass(frozen=True)
class _Word:
    """A word, a clitic such as "'s", or one punctuation mark."""

    text: str  # lower case, with ' for any apostrophe and - for any hyphen
    start: int
    end: int


def _is_word_character(char: str) -> bool:
    # str.isalnum() excludes marks (M*): vowel signs and accents.
    return char.isalnum() or char == "_" or unicodedata.category(char).startswith("M")


def _split_words(caption: str) -> list[_Word]:
    """Split a caption into words, clitics and punctuation marks, without white space."""
    normal = dict.fromkeys(map(ord, _APOSTROPHES), "'") | dict.fromkeys(map(ord, _HYPHENS), "-")
    is_part = [_is_word_character(char) for char in caption]
    for index in range(1, len(caption) - 1):
        if (
            caption[index] in _JOINERS
            and is_part[index - 1]
            and _is_word_character(caption[index + 1])
        ):
            is_part[index] = True

    words = []
    start = 0
    while start < len(caption):
        end = start + 1
        while is_part[start] and end < len(caption) and is_part[end]:
            end += 1
        text = caption[start:end].translate(normal).lower()
        clitic = next((clitic for clitic in _CLITICS if text.endswith(clitic)), "")
        middle = end - len(clitic)
        if middle > start and not caption[start].isspace():
            words.append(_Word(text.removesuffix(clitic), start, middle))
        if clitic:
            words.append(_Word(clitic, middle, end))
        start = end
    return words
