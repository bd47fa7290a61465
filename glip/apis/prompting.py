"""Which prompt goes with which picture."""

from __future__ import annotations

from collections.abc import Sequence

from glip.text import Prompt, PromptError, parse_prompt
from glip.text.parse import is_class_text

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
    names (``'bench . car .'``), or, with ``custom_entities`` or ``tokens_positive``, as many texts
    as there are pictures. A list of plain words is a list of names, the same for every picture.

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
        raise PromptError(f"expected a prompt for each of {count} pictures, got {len(texts)}")
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
) -> bool:
    if isinstance(texts, (str, Prompt)) or not texts:
        return False
    if all(isinstance(text, str) for text in texts):
        told = custom_entities or tokens_positive is not None
        return any(map(is_class_text, texts)) or (told and len(texts) == count)
    return True
