"""Parse prompts as users and data sets write them.

The kind of prompt follows from the arguments and the punctuation, never from the words:

==========================================  ==================================================
input                                       phrases
==========================================  ==================================================
a :class:`~glip.text.Prompt`                its own
a list of names                             each name
``'bench . car .'`` (periods after spaces)  each name
any text with ``custom_entities=True``      each period-separated name, also of ``'bench. car'``
``'$: coco'``, ``'$: lvis'``                every class name of the data set
a sentence with ``tokens_positive``         the phrases at these characters
a sentence with ``tokens_positive=-1``      the whole sentence
a sentence                                  its noun phrases
==========================================  ==================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from glip.text.prompt import Prompt
from glip.text.reading import warn_doubtful
from glip.text.validation import check_custom_entities, check_text, to_lists
from glip.text.vocabulary import load_vocabulary, parse_vocabulary_shorthand
from glip.utils.errors import PromptError
from glip.utils.messages import shorten

#: A period after a space ends a class name; sentences are not written that way.
_SEPARATE_POINT = re.compile(r"\s\.(\s|$)")


def parse_prompt(
    text: str | Sequence[str] | Prompt,
    *,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
    descriptions: Mapping[str, Mapping[str, str]] | None = None,
    np_extractor: str = "rules",
    allow_blank: bool = False,
    warn: bool = True,
) -> Prompt:
    """Make a :class:`Prompt` of a user's or a data set's input; see the table above.

    A prompt that was probably meant otherwise (``'dog, cat'`` as class names) gives a warning that
    shows how it was read.

    Args:
        text: class names, a text of class names, a sentence, ``'$: coco'``, or a prompt.
        custom_entities: the text is a list of period-separated names.
        tokens_positive: for each phrase of a sentence its character spans,
            ``[[[start, end], ...], ...]``, or -1 for the whole sentence.
        descriptions: for some names a prefix, another name and a suffix (ODinW's caption prompts).
        np_extractor: how noun phrases are found; see :meth:`Prompt.from_caption`.
        allow_blank: keep blank names of a list; see :meth:`Prompt.from_class_names`.
        warn: warn of a doubtful prompt; see :mod:`glip.text.reading`.

    Raises:
        PromptError: the prompt is empty or of an unknown kind.
    """
    custom_entities = check_custom_entities(custom_entities)
    if isinstance(text, Prompt):
        return text
    if isinstance(text, str):
        prompt = _parse_text(
            check_text(text), custom_entities, tokens_positive, descriptions, np_extractor
        )
    else:
        prompt = Prompt.from_class_names(text, descriptions=descriptions, allow_blank=allow_blank)
    if warn:
        warn_doubtful([prompt])
    return prompt


def _parse_text(
    text: str,
    custom_entities: bool,
    tokens_positive: Any,
    descriptions: Mapping[str, Mapping[str, str]] | None,
    np_extractor: str,
) -> Prompt:
    vocabulary = parse_vocabulary_shorthand(text)
    if vocabulary is not None:
        if tokens_positive is not None:
            raise PromptError(
                "tokens_positive are the characters of phrases in a sentence, and the prompt is "
                f"{shorten(text)}: give a sentence, or no tokens_positive"
            )
        return Prompt.from_class_names(load_vocabulary(vocabulary), descriptions=descriptions)
    tokens_positive = to_lists(tokens_positive)
    if tokens_positive == -1:
        return Prompt.from_whole_caption(text)
    if tokens_positive is not None:
        if not isinstance(tokens_positive, Sequence) or not tokens_positive:
            raise PromptError(
                "expected tokens_positive as [[[start, end], ...], ...] or -1 for the whole "
                f"caption, got {shorten(tokens_positive)}"
            )
        return Prompt.from_spans(text, tokens_positive)
    if custom_entities or is_class_text(text):
        return Prompt.from_class_text(text)
    return Prompt.from_caption(text, np_extractor=np_extractor)


class Fields(Protocol):
    """A dictionary, or a data sample."""

    def get(self, key: str, /) -> Any:
        """Return a value, or None."""


#: The fields of :func:`parse_prompt_fields`, as MMDetection's configs name them.
PROMPT_FIELDS = ("text", "custom_entities", "tokens_positive", "caption_prompt")


def parse_prompt_fields(fields: Fields) -> Prompt | None:
    """Parse the prompt of an image from the fields that data sets fill.

    Args:
        fields: ``text`` and, where they apply, ``custom_entities``, ``tokens_positive`` and
            ``caption_prompt`` (the ``descriptions`` of :func:`parse_prompt`).

    Returns:
        The prompt, which may have blank class names, or None without ``text``.

    Raises:
        PromptError: the prompt is empty or of an unknown kind.
    """
    text = fields.get("text")
    if text is None:
        return None
    return parse_prompt(
        text,
        custom_entities=fields.get("custom_entities"),
        tokens_positive=fields.get("tokens_positive"),
        descriptions=fields.get("caption_prompt"),
        allow_blank=True,
        warn=False,  # a data set has many prompts
    )


def is_class_text(text: str) -> bool:
    """Return whether a text is a list of class names by its periods: ``'bench . car .'``."""
    return _SEPARATE_POINT.search(text) is not None
