"""Prompts, noun phrases, vocabularies, tokenization and chunking."""

from typing import TYPE_CHECKING

from glip.utils.errors import PromptError, TokenizerNotFoundError
from glip.utils.lazy import lazy_names

if TYPE_CHECKING:
    from glip.text.chunking import PromptChunk, chunk_prompt
    from glip.text.noun_phrases import find_noun_phrases
    from glip.text.parse import parse_prompt
    from glip.text.prompt import Phrase, Prompt
    from glip.text.tokenizer import load_tokenizer
    from glip.text.tokens import TokenizedPrompt, tokenize
    from glip.text.vocabulary import list_vocabularies, load_vocabulary
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "glip.text.chunking": ("PromptChunk", "chunk_prompt"),
            "glip.text.noun_phrases": ("find_noun_phrases",),
            "glip.text.parse": ("parse_prompt",),
            "glip.text.prompt": ("Phrase", "Prompt"),
            "glip.text.tokenizer": ("load_tokenizer",),
            "glip.text.tokens": ("TokenizedPrompt", "tokenize"),
            "glip.text.vocabulary": ("list_vocabularies", "load_vocabulary"),
        },
    )

__all__ = [
    "Phrase",
    "Prompt",
    "PromptChunk",
    "PromptError",
    "TokenizedPrompt",
    "TokenizerNotFoundError",
    "chunk_prompt",
    "find_noun_phrases",
    "list_vocabularies",
    "load_tokenizer",
    "load_vocabulary",
    "parse_prompt",
    "tokenize",
]
