"""Assign prompts to images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from glip.text import Prompt, parse_prompt
from glip.text.parse import is_class_text
from glip.text.vocabulary import parse_vocabulary_shorthand
from glip.utils.errors import PromptError

#: Class names, a sentence, a prompt, or one of these for each image.
Texts = str | Prompt | Sequence


def prompts_for(
    count: int,
    texts: Texts | None,
    *,
    custom_entities: bool = False,
    tokens_positive: Sequence | int | None = None,
) -> list[Prompt]:
    """Return a prompt for each of ``count`` images.

    A list holds a prompt per image if its items can be nothing else: prompts, lists of names, texts
    of names (``'bench . car .'``, ``'$: coco'``), or, with ``custom_entities`` or
    ``tokens_positive``, texts for several images. A list of plain words is a list of class names,
    the same for every image.

    Args:
        count: number of images.
        texts: class names, a sentence, a prompt, or one of these for each image.
        custom_entities: texts are period-separated class names.
        tokens_positive: for each phrase of the sentence its character spans; with a sentence per
            image, a list of these.

    Raises:
        PromptError: there is no prompt, it cannot be parsed, or the numbers differ.
    """
    if texts is None:
        raise PromptError("there is no prompt: give class names, for example 'bench . car .'")
    if not _is_per_image(texts, count, custom_entities, tokens_positive):
        prompt = parse_prompt(
            texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        return [prompt] * count
    if len(texts) != count:
        raise PromptError(
            f"expected a prompt for each of {count} images, got {len(texts)}; pass a list of names "
            "for all images without custom_entities"
        )
    spans = tokens_positive if isinstance(tokens_positive, Sequence) else [tokens_positive] * count
    if len(spans) != count:
        raise PromptError(f"expected tokens_positive for each of {count} images, got {len(spans)}")
    return [
        parse_prompt(text, custom_entities=custom_entities, tokens_positive=own)
        for text, own in zip(texts, spans, strict=True)
    ]


def _is_per_image(
    texts: Texts, count: int, custom_entities: bool, tokens_positive: Sequence | int | None
) -> TypeGuard[Sequence]:
    if isinstance(texts, str) or not isinstance(texts, Sequence) or not texts:
        return False
    if all(isinstance(text, str) for text in texts):
        has_kind = custom_entities or tokens_positive is not None
        return any(map(_is_full_prompt, texts)) or (has_kind and (count > 1 or len(texts) == 1))
    return True


def _is_full_prompt(text: str) -> bool:
    return is_class_text(text) or parse_vocabulary_shorthand(text) is not None
