"""Warn of phrases that the tokenizer does not know."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from glip.text.chunking import PromptChunk
from glip.text.tokens import find_unknown_phrases
from glip.utils.messages import shorten

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_logger = logging.getLogger("glip")


class UnknownPhrases:
    """The phrases that were warned of; whoever encodes prompts holds one for its lifetime."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def warn(self, chunks: Sequence[PromptChunk], tokenizer: PreTrainedTokenizerBase) -> None:
        """Warn of the phrases of a prompt whose every token is [UNK], of each once."""
        names = [name for chunk in chunks for name in find_unknown_phrases(chunk.tokens, tokenizer)]
        new = [name for name in dict.fromkeys(names) if name not in self._names]
        if not new:
            return
        self._names.update(new)
        _logger.warning(
            "%d of %d phrases have no word that the tokenizer knows, for example %s: every "
            "token is [UNK], so the model cannot tell such phrases from each other; describe "
            "the objects in words of the model's language%s",
            len(new),
            len(chunks[0].prompt.phrases),
            shorten(new[0]),
            f" ({len(self._names)} such phrases so far)" if names != new else "",
        )
