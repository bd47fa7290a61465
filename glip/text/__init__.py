"""From words to tokens: prompts, noun phrases, vocabularies, tokenizing and chunking."""

from .chunking import PromptChunk, chunk_prompt
from .noun_phrases import find_noun_phrases
from .parse import parse_prompt
from .prompt import Phrase, Prompt, PromptError
from .tokenizer import TokenizerNotFoundError, load_tokenizer
from .tokens import TokenizedPrompt, tokenize
from .vocabulary import list_vocabularies, load_vocabulary

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
