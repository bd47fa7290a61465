"""Batches of captions for the language encoder.

Shapes: B captions, T tokens of the longest, D channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glip.models.language.bert import BertModel, TextFeatures

#: Captions that go through the language encoder together in prediction.
GROUP_SIZE = 16


def pad_captions(captions: Sequence[tuple[int, ...]], encoder: BertModel) -> tuple[Tensor, Tensor]:
    """Pad captions to one length.

    Args:
        captions: token ids of each of B captions.
        encoder: the language encoder, which decides the length.

    Returns:
        Token ids (B, T) int64 and mask (B, T) bool, true on real tokens, on the encoder's device.
    """
    width = encoder.padded_length([len(ids) for ids in captions])
    input_ids = torch.zeros(len(captions), width, dtype=torch.long)
    mask = torch.zeros(len(captions), width, dtype=torch.bool)
    for row, ids in enumerate(captions):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = True
    device = next(encoder.parameters()).device
    return input_ids.to(device), mask.to(device)


def encode_in_groups(captions: Sequence[tuple[int, ...]], encoder: BertModel) -> list[TextFeatures]:
    """Encode captions, equal ones once, in groups of at most :data:`GROUP_SIZE`.

    The last digits of a caption's features depend on the captions it shares a group with. The
    groups depend on ``captions`` alone, so the same list gives the same features, bit by bit.

    Args:
        captions: token ids of each caption.
        encoder: the language encoder.

    Returns:
        The features (1, n, D) of each caption, n being its number of tokens.
    """
    # Captions of similar length share a group, so that there is little padding.
    unique = sorted(dict.fromkeys(captions), key=len)
    features: dict[tuple[int, ...], TextFeatures] = {}
    for start in range(0, len(unique), GROUP_SIZE):
        group = unique[start : start + GROUP_SIZE]
        hidden = encoder(*pad_captions(group, encoder)).hidden
        for row, ids in enumerate(group):
            own = hidden[row : row + 1, : len(ids)].clone()  # a view would keep the whole group
            mask = torch.ones(own.shape[:2], dtype=torch.bool, device=own.device)
            features[ids] = TextFeatures(own, own, mask)
    return [features[ids] for ids in captions]
