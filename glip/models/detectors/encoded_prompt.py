"""A prompt that went through the language encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glip.models.language import TextFeatures
from glip.text import PromptChunk


@dataclass(frozen=True)
class EncodedPrompt:
    """The chunks of a prompt and their text features.

    Attributes:
        chunks: the tokenized captions that the prompt was split into.
        features: for each chunk its text features, (1, T, D) with the chunk's T tokens.
    """

    chunks: Sequence[PromptChunk]
    features: Sequence[TextFeatures]

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.chunks)

    @property
    def names(self) -> list[str]:
        """The names of the prompt's phrases; label i is ``names[i]``."""
        return self.chunks[0].prompt.names
