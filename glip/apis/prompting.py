"""Assign prompts to images: the one place that tells several names from several prompts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

from glip.text import Prompt, parse_prompt
from glip.text.parse import is_class_text
from glip.text.reading import warn_doubtful
from glip.text.validation import check_custom_entities, to_lists
from glip.text.vocabulary import parse_vocabulary_shorthand
from glip.utils.errors import PromptError
from glip.utils.messages import shorten

_logger = logging.getLogger("glip")

#: Class names, a sentence, a prompt, or one of these for each image.
Texts = str | Prompt | Sequence


def prompts_for(
    count: int,
    texts: Texts | None,
    *,
    custom_entities: bool = False,
    tokens_positive: Any = None,
) -> list[Prompt]:
    """Return a prompt for each of ``count`` images.

    ``[['dog'], ['cat', 'bus']]``, a list of lists of names, is a prompt per image in any case, and
    ``'dog . cat .'`` or a :class:`~glip.text.Prompt` one for all. A list of texts holds

    - a prompt per image, if its items can be nothing else (``['dog . cat .', 'bicycle .']``,
      ``['$: coco', 'dog .']``), or, with ``custom_entities`` or ``tokens_positive``, if there are
      several images;
    - else the class names for all images: ``['dog', 'cat']``.

    A list that could be meant either way, because it has as many plain texts as there are images,
    gives a warning that says how it was read, and how to write the other meaning.

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
    texts, tokens_positive = to_lists(texts), to_lists(tokens_positive)
    custom_entities = check_custom_entities(custom_entities)
    if not _is_per_image(texts, count, custom_entities, tokens_positive):
        if tokens_positive is not None and not isinstance(texts, str):
            raise PromptError(
                "tokens_positive are the characters of phrases in a sentence, and the prompt is "
                f"{shorten(texts)}: give a sentence, or no tokens_positive"
            )
        prompt = parse_prompt(
            texts, custom_entities=custom_entities, tokens_positive=tokens_positive, warn=False
        )
        _warn_ambiguous_names(texts, count)
        warn_doubtful([prompt])
        return [prompt] * count
    if len(texts) != count:
        images = "one image" if count == 1 else f"each of {count} images"
        raise PromptError(
            f"expected a prompt for {images}, got {len(texts)}: "
            f"{shorten(list(texts))}; pass a list of names for all images without custom_entities "
            "and without ' . ' in them, or one text 'dog . cat .'"
        )
    spans = tokens_positive if isinstance(tokens_positive, Sequence) else [tokens_positive] * count
    if len(spans) != count:
        raise PromptError(f"expected tokens_positive for each of {count} images, got {len(spans)}")
    prompts = []
    for number, (text, own) in enumerate(zip(texts, spans, strict=True)):
        try:
            prompts.append(
                parse_prompt(text, custom_entities=custom_entities, tokens_positive=own, warn=False)
            )
        except PromptError as error:
            if count == 1:
                raise
            raise PromptError(f"the prompt of image number {number}: {error}") from None
    if tokens_positive is None:
        _warn_ambiguous_prompts(texts, prompts, custom_entities)
    warn_doubtful(prompts)
    return prompts


def prompt_for_all(
    texts: Texts | None, custom_entities: bool = False, tokens_positive: Any = None
) -> Prompt:
    """Return the prompt of a generator's images, whose number is not known before it ends.

    The arguments are those of :func:`prompts_for`.

    Raises:
        PromptError: there is no prompt, there are several, or it cannot be parsed.
    """

    def parse(count: int) -> list[Prompt]:
        return prompts_for(
            count, texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )

    try:
        return parse(1)[0]
    except PromptError:
        if isinstance(texts, str) or not isinstance(texts, Sequence) or len(texts) < 2:
            raise
        parse(len(texts))  # raises if it is another problem
        raise PromptError(
            f"got {len(texts)} prompts for a generator, whose number of images is unknown: pass "
            "one prompt for all images, or list(images)"
        ) from None


def _is_per_image(
    texts: Any, count: int, custom_entities: bool, tokens_positive: Any
) -> TypeGuard[Sequence]:
    if isinstance(texts, (str, bytes, bytearray)) or not isinstance(texts, Sequence) or not texts:
        return False
    if all(isinstance(text, str) for text in texts):
        has_kind = custom_entities or tokens_positive is not None
        return any(map(_is_full_prompt, texts)) or (has_kind and (count > 1 or len(texts) == 1))
    # A number or None among names is a mistake in the names.
    return all(isinstance(text, (str, Prompt, Iterable)) for text in texts)


def _is_full_prompt(text: str) -> bool:
    return is_class_text(text) or parse_vocabulary_shorthand(text) is not None


def _warn_ambiguous_names(texts: Any, count: int) -> None:
    """Warn of as many plain texts as images that were read as names for all."""
    if isinstance(texts, (str, Prompt)) or count < 2 or len(texts) != count:
        return
    _logger.warning(
        "%s was read as %d class names for each of the %d images, not as a prompt per image. For "
        "a prompt per image write %s; to say that these are the names for all images, write one "
        "text, %s",
        shorten(list(texts)),
        len(texts),
        count,
        shorten([[text] for text in texts]),
        shorten(" . ".join(texts) + " ."),
    )


def _warn_ambiguous_prompts(
    texts: Sequence, prompts: Sequence[Prompt], custom_entities: bool
) -> None:
    """Warn of texts that were read as a prompt per image although some are plain words."""
    if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
        return
    plain = [text for text in texts if not _is_full_prompt(text) and ". " not in text]
    if not plain or (custom_entities and len(plain) < len(texts)):
        return
    _logger.warning(
        "%s was read as a prompt for each of the %d images (the first: %s). For a prompt per image "
        "write lists of names, %s; for the same names in all images one text, %s",
        shorten(list(texts)),
        len(texts),
        shorten(prompts[0].names),
        shorten([prompt.names for prompt in prompts]),
        shorten(" . ".join(name for prompt in prompts for name in prompt.names) + " ."),
    )
