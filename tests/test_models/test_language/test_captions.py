"""Captions are encoded once, whatever they are asked for with."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from glip.models.language import BertModel, CaptionEncoder

#: Token ids; the second is the longest.
CAPTIONS = [(2, 5, 3), (2, 6, 7, 8, 9, 3), (2, 5, 6, 3)]


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return BertModel(max_tokens=10, config=dict(vocab_size=12, **sizes)).eval()


@torch.no_grad()
def test_as_if_encoded_alone(bert):
    encoder = CaptionEncoder(bert)
    features = encoder.encode([*CAPTIONS, CAPTIONS[0]], once=True)
    assert features.hidden.shape == (4, 6, 16)
    for row, ids in enumerate([*CAPTIONS, CAPTIONS[0]]):
        alone = bert(torch.tensor([ids]), torch.ones(1, len(ids)))
        torch.testing.assert_close(features.hidden[row, : len(ids)], alone.hidden[0])
        assert features.embedded[row, len(ids) :].eq(0).all()
        assert features.mask[row].tolist() == [True] * len(ids) + [False] * (6 - len(ids))


@torch.no_grad()
def test_each_once(bert):
    encoder = CaptionEncoder(bert)
    with mock.patch.object(bert, "forward", wraps=bert.forward) as forward:
        encoder.encode([*CAPTIONS, *CAPTIONS], once=True)
        encoder.encode(CAPTIONS[:2], once=True)
        assert [len(call.args[0]) for call in forward.call_args_list] == [3]
        encoder.encode([CAPTIONS[0], (2, 3)], once=True)
        assert forward.call_args.args[0].tolist() == [[2, 3]]
        encoder.forget()
        encoder.encode(CAPTIONS, once=True)
        assert len(forward.call_args.args[0]) == 3


def test_with_gradients_each_time(bert):
    encoder = CaptionEncoder(bert)
    features = encoder.encode([CAPTIONS[0], CAPTIONS[0]], once=False)
    assert features.hidden.shape == (2, 3, 16)
    assert features.hidden.requires_grad


def test_padded_to_all_tokens(bert):
    encoder = CaptionEncoder(bert)
    with mock.patch.object(bert, "pad_to_max", True), torch.no_grad():
        assert encoder.encode(CAPTIONS, once=True).mask.shape == (3, 10)
