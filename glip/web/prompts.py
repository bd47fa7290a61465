"""Read what a visitor types: class names, a caption, or several prompts."""

from __future__ import annotations

from glip.testing.shapes import unknown_words
from glip.text import Prompt, parse_prompt
from glip.text.reading import find_doubts
from glip.utils.errors import PromptError
from glip.utils.messages import shorten
from glip.web.settings import WebSettings
from glip.weights import SMALL_MODEL

NAMES, CAPTION, SEVERAL = "Class names", "Caption", "Several prompts"
#: The ways to read a text, in the order of the page.
KINDS = (NAMES, CAPTION, SEVERAL)


def read_prompts(text: str, kind: str, settings: WebSettings) -> list[Prompt]:
    """Read the text of a visitor.

    Args:
        text: period-separated class names, a caption, or a prompt in each line.
        kind: one of :data:`KINDS`.
        settings: its limits are checked.

    Returns:
        The prompts; one, unless ``kind`` is :data:`SEVERAL`.

    Raises:
        PromptError: the text is empty, too long, or cannot be parsed, or the kind is another one.
    """
    if not isinstance(text, str) or kind not in KINDS:
        raise PromptError(f"expected a text and one of {', '.join(KINDS)}, got {shorten(kind)}")
    if not text.strip():
        raise PromptError("the prompt is empty: type class names, for example bench . car .")
    if len(text) > settings.max_characters:
        raise PromptError(
            f"expected at most {settings.max_characters} characters, got {len(text)}: shorten the "
            "text, or use the command line"
        )
    if kind == CAPTION:
        prompts = [Prompt.from_caption(text)]
    elif kind == NAMES:
        prompts = [parse_prompt(text, custom_entities=True, warn=False)]
    else:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > settings.max_prompts:
            raise PromptError(f"expected at most {settings.max_prompts} prompts, got {len(lines)}")
        prompts = [parse_prompt(line, warn=False) for line in lines]
    count = sum(len(prompt.phrases) for prompt in prompts)
    if count > settings.max_phrases:
        raise PromptError(
            f"expected at most {settings.max_phrases} phrases, got {count}: use the command line "
            "for more"
        )
    return prompts


def notes_on(prompts: list[Prompt], weights: str) -> list[str]:
    """Return what a visitor should know of the prompts: doubts how they were read, unknown words.

    Args:
        prompts: the prompts.
        weights: of the model that detects.
    """
    notes = [note for prompt in prompts for note in find_doubts(prompt).values()]
    if weights == SMALL_MODEL:
        unknown = unknown_words(name for prompt in prompts for name in prompt.names)
        if unknown:
            notes.append(
                f"{SMALL_MODEL} detects coloured shapes only and does not know "
                f"{shorten(' '.join(unknown))}; other models are chosen at the start: "
                "glip web --weights glip_tiny_a"
            )
    return notes
