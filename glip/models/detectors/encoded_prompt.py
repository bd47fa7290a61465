"""A prompt that went through the language encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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

    @cached_property
    def names(self) -> dict[int, str]:
        """The phrase's name for each label."""
        return {
            label: name
            for chunk in self.chunks
            for label, name in zip(chunk.labels.tolist(), chunk.tokens.prompt.names, strict=True)
        }
