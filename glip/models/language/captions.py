"""Captions to text features, each once.

Shapes: B captions, T tokens of the longest, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glip.models.language.bert import BertModel, TextFeatures
from glip.models.language.cache import TextCache

#: Captions that go through the language encoder together.
_AT_A_TIME = 16


class CaptionEncoder:
    """Pads captions, encodes them, and keeps the last ones.

    Args:
        encoder: the language encoder.
    """

    def __init__(self, encoder: BertModel):
        self.encoder = encoder
        self._cache = TextCache(encoder)

    def encode(self, captions: Sequence[tuple[int, ...]], *, once: bool) -> TextFeatures:
        """Encode B captions.

        Args:
            captions: token ids of each.
            once: encode a caption that was encoded before, or occurs twice, once; for without
                gradients.
        """
        if not once:
            return self.encoder(*self._pad(captions))
        new = [ids for ids in dict.fromkeys(captions) if self._cache.get(ids) is None]
        new.sort(key=len)  # those of a length together, so that little of a batch is padding
        known = {ids: self._cache.get(ids) for ids in captions}
        for start in range(0, len(new), _AT_A_TIME):
            group = new[start : start + _AT_A_TIME]
            features = self.encoder(*self._pad(group))
            for ids, hidden in zip(group, features.hidden, strict=True):
                known[ids] = hidden[: len(ids)].clone()
                self._cache.put(ids, known[ids])
        _, mask = self._pad(captions)
        hidden = pad_sequence([known[ids] for ids in captions], batch_first=True)
        hidden = F.pad(hidden, (0, 0, 0, mask.shape[1] - hidden.shape[1]))
        return TextFeatures(hidden, hidden, mask)

    def forget(self) -> None:
        """Encode all captions anew from here on."""
        self._cache.clear()

    def _pad(self, captions: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
        """Token ids (B, T) and mask (B, T) of captions, on the encoder's device."""
        longest = max(len(ids) for ids in captions)
        if self.encoder.pad_to_max:
            longest = self.encoder.max_tokens
        input_ids = torch.zeros(len(captions), longest, dtype=torch.long)
        mask = torch.zeros(len(captions), longest, dtype=torch.bool)
        for row, ids in enumerate(captions):
            input_ids[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = True
        device = next(self.encoder.parameters()).device
        return input_ids.to(device), mask.to(device)
