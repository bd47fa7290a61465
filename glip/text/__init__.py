"""From words to tokens: prompts, noun phrases, vocabularies, tokenizing and chunking."""

from glip.text.chunking import PromptChunk, chunk_prompt
from glip.text.noun_phrases import find_noun_phrases
from glip.text.parse import parse_prompt
from glip.text.prompt import Phrase, Prompt
from glip.text.tokenizer import load_tokenizer
from glip.text.tokens import TokenizedPrompt, tokenize
from glip.text.vocabulary import list_vocabularies, load_vocabulary
from glip.utils.errors import PromptError, TokenizerNotFoundError

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
