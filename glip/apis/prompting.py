"""Which prompt goes with which picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from glip.text import Prompt, parse_prompt
from glip.text.parse import is_class_text
from glip.text.vocabulary import parse_vocabulary_shorthand
from glip.utils.errors import PromptError

#: What a caller may ask with: names, a sentence, a prompt, or one of these for each picture.
Texts = str | Prompt | Sequence


def prompts_for(
    count: int,
    texts: Texts | None,
    *,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
) -> list[Prompt]:
    """Make a prompt for each of ``count`` pictures.

    A list is a prompt a picture if its items can be nothing else: prompts, lists of names, texts of
    names (``'bench . car .'``, ``'$: coco'``), or, with ``custom_entities`` or ``tokens_positive``,
    texts for several pictures. A list of plain words is a list of names, the same for every
    picture.

    Args:
        count: number of pictures.
        texts: what to look for.
        custom_entities: texts are names between points.
        tokens_positive: for each phrase of the sentence its ranges of characters; with a sentence a
            picture, a list of these.

    Raises:
        PromptError: there is none, it cannot be looked for, or the numbers do not agree.
    """
    if texts is None:
        raise PromptError("there is no prompt: say what to look for, for example 'bench . car .'")
    if not _is_per_picture(texts, count, custom_entities, tokens_positive):
        prompt = parse_prompt(
            texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        return [prompt] * count
    if len(texts) != count:
        raise PromptError(
            f"expected a prompt for each of {count} pictures, got {len(texts)}; a list of names "
            "that holds for every picture goes without custom_entities"
        )
    spans = tokens_positive if isinstance(tokens_positive, Sequence) else [tokens_positive] * count
    if len(spans) != count:
        raise PromptError(
            f"expected tokens_positive for each of {count} pictures, got {len(spans)}"
        )
    return [
        parse_prompt(text, custom_entities=custom_entities, tokens_positive=own)
        for text, own in zip(texts, spans, strict=True)
    ]


def _is_per_picture(
    texts: Texts, count: int, custom_entities: bool, tokens_positive: Sequence | int | None
) -> TypeGuard[Sequence]:
    if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
        return False
    if all(isinstance(text, str) for text in texts):
        told = custom_entities or tokens_positive is not None
        return any(map(_is_whole_prompt, texts)) or (told and (count > 1 or len(texts) == 1))
    return True


def _is_whole_prompt(text: str) -> bool:
    return is_class_text(text) or parse_vocabulary_shorthand(text) is not None
