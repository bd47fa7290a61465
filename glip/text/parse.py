"""One entrance for prompts as users and data sets write them.

It tells the ways to ask apart by what is given, never by guessing at the words:

======================================  ================================================
what is given                           what is looked for
======================================  ================================================
a :class:`~glip.text.Prompt`            what it says
a list of names                         each name
``'bench . car .'`` (points set apart)  each name
any text with ``custom_entities=True``  each name between points, ``'bench. car'`` too
``'$: coco'``, ``'$: lvis'``            every name of the data set
a sentence with ``tokens_positive``     the phrases at these characters
a sentence with ``tokens_positive=-1``  the sentence as a whole
a sentence                              its noun phrases
======================================  ================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from glip.text.prompt import Prompt
from glip.text.vocabulary import load_vocabulary, parse_vocabulary_shorthand
from glip.utils.errors import PromptError

#: A point set apart by spaces ends a name; sentences are not written that way.
_SEPARATE_POINT = re.compile(r"\s\.(\s|$)")


def parse_prompt(
    text: str | Sequence[str] | Prompt,
    *,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
    descriptions: Mapping[str, Mapping[str, str]] | None = None,
    np_extractor: str = "rules",
    allow_blank: bool = False,
) -> Prompt:
    """Make a prompt of what a user or a data set gives; the table above says how.

    Args:
        text: names, a text of names, a sentence, a data set's shorthand, or a prompt.
        custom_entities: the text is a list of names.
        tokens_positive: for each phrase of a sentence its ranges of characters,
            ``[[[start, end], ...], ...]``, or -1 for the sentence as a whole.
        descriptions: for some names a prefix, another name and a suffix (ODinW's caption prompts).
        np_extractor: what finds noun phrases; see :meth:`Prompt.from_caption`.
        allow_blank: keep blank names of a list; see :meth:`Prompt.from_class_names`.

    Raises:
        PromptError: the prompt is empty or of another kind.
    """
    if isinstance(text, Prompt):
        return text
    if not isinstance(text, str):
        return Prompt.from_class_names(
            _check_names(text), descriptions=descriptions, allow_blank=allow_blank
        )
    vocabulary = parse_vocabulary_shorthand(text)
    if vocabulary is not None:
        return Prompt.from_class_names(load_vocabulary(vocabulary), descriptions=descriptions)
    if tokens_positive == -1:
        return Prompt.from_whole_caption(text)
    if tokens_positive is not None:
        if not isinstance(tokens_positive, Sequence) or not tokens_positive:
            raise PromptError(
                "expected tokens_positive as [[[start, end], ...], ...] or -1 for the whole "
                f"caption, got {tokens_positive!r}"
            )
        return Prompt.from_spans(text, tokens_positive)
    if custom_entities or is_class_text(text):
        return Prompt.from_class_text(text)
    return Prompt.from_caption(text, np_extractor=np_extractor)


def is_class_text(text: str) -> bool:
    """Whether a text is a list of names by its points, which are set apart: ``'bench . car .'``."""
    return _SEPARATE_POINT.search(text) is not None


def _check_names(names: object) -> list[str]:
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise PromptError(
            "expected the prompt as a text ('bench . car .'), a list of names or a glip.text."
            f"Prompt, got {type(names).__name__}: {names!r}"
        )
    return list(names)
