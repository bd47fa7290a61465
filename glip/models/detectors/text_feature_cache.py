"""Text features that several images or several calls share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sized
from typing import TypeVar

import torch
from torch import Tensor

from glip.models.detectors.encoded_prompt import EncodedPrompt
from glip.models.detectors.glip import GLIP
from glip.text import Prompt, PromptChunk
from glip.text.unknown import UnknownPhrases
from glip.utils.precision import is_autocast_enabled

#: Captions kept by default: at 256 tokens and 768 float32 channels each, 100 MB at most.
MAX_CAPTIONS = 128

_Kept = TypeVar("_Kept", bound=Sized)

#: Integers of the same size as the elements of a tensor.
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
#: Width of the table whose rows and columns :func:`sum_bits` sums; 512 is the fastest, about 60 ms
#: for the 108 million weights of BERT on a core.
_WIDTH = 512


def sum_bits(value: Tensor) -> Tensor:
    """Return sums of the bits of a tensor that differ after any change and any permutation.

    The bits are summed as integers, which loses none, over the rows and the columns of a table.
    Only changes that keep the sums of all rows and columns, four or more of opposite signs, pass.

    Args:
        value: of any shape and dtype.

    Returns:
        (n,) int64, about a 512th of the size of ``value``.
    """
    bits = value.contiguous().flatten().view(_INTEGERS[value.element_size()])
    end = len(bits) - len(bits) % _WIDTH
    table = bits[:end].view(-1, _WIDTH)
    kind = torch.int64 if value.element_size() == 8 else torch.int32
    sums = [table.sum(0, dtype=kind), table.sum(1, dtype=kind), bits[end:]]
    return torch.cat([each.to(torch.int64) for each in sums])


class TextFeatureCache:
    """Tokenize and encode each prompt once, for as long as the model's weights stay the same.

    Whoever runs a model holds one: an evaluation loop for the length of its run, an inferencer for
    its lifetime. The least recently used prompts are dropped first. Threads may share a cache: a
    prompt that one of them encodes is not encoded by another.

    Phrases that the tokenizer does not know at all are logged, each one once.

    Example:
        >>> cache = TextFeatureCache(model)  # doctest: +SKIP
        >>> for batch in loader:  # doctest: +SKIP
        ...     samples = model.test_step(batch, encode_prompt=cache.encode_prompt)

    Args:
        model: the detector whose language encoder is used.
        max_captions: captions kept at most. A prompt of more chunks is never kept.
    """

    def __init__(self, model: GLIP, max_captions: int = MAX_CAPTIONS):
        self.model = model
        self.max_captions = max_captions
        self._chunks: OrderedDict[Prompt, list[PromptChunk]] = OrderedDict()
        self._encoded: OrderedDict[Prompt, EncodedPrompt] = OrderedDict()
        self._unknown = UnknownPhrases()
        self._state: tuple = ()
        self._sums = torch.empty(0)
        self._lock = threading.RLock()  # encoding a prompt tokenizes it

    def chunk_prompt(self, prompt: Prompt) -> list[PromptChunk]:
        """Tokenize a prompt, see :meth:`GLIP.chunk_prompt`."""
        return self._recall(self._chunks, prompt, self._chunk)

    def encode_prompt(self, prompt: Prompt) -> EncodedPrompt:
        """Tokenize and encode a prompt, see :meth:`GLIP.encode_prompt`."""
        return self._recall(self._encoded, prompt, self._encode)

    def clear_if_changed(self) -> None:
        """Drop everything if what the features depend on is not what it was at the last call.

        This is the weights of the language encoder (see :func:`sum_bits`, which takes a small part
        of an image's time), their device and dtype, the ambient autocast, and how the model splits
        prompts. A holder that outlives a single run calls it before each.
        """
        encoder = self.model.language_model
        weights = [*encoder.parameters(), *encoder.buffers()]
        device, dtype = weights[0].device, weights[0].dtype
        sums = torch.cat([sum_bits(each.detach()) for each in weights])
        state = (device, dtype, is_autocast_enabled(device.type), self.model.chunked_size)
        with self._lock:
            if state != self._state or not torch.equal(sums, self._sums):
                self._state, self._sums = state, sums
                self._chunks.clear()
                self._encoded.clear()

    def _chunk(self, prompt: Prompt) -> list[PromptChunk]:
        chunks = self.model.chunk_prompt(prompt)
        self._unknown.warn(chunks, self.model.language_model.tokenizer)
        return chunks

    def _encode(self, prompt: Prompt) -> EncodedPrompt:
        return self.model.encode_chunks([self.chunk_prompt(prompt)])[0]

    def _recall(
        self, kept: OrderedDict[Prompt, _Kept], prompt: Prompt, make: Callable[[Prompt], _Kept]
    ) -> _Kept:
        with self._lock:
            value = kept.pop(prompt, None)
            if value is None:
                value = make(prompt)
            kept[prompt] = value  # the most recently used come last
            while sum(map(len, kept.values())) > self.max_captions:
                kept.popitem(last=False)
            return value
