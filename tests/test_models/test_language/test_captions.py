"""Batches of captions for the language encoder."""

from __future__ import annotations

from unittest import mock

import pytest
import torch

from glip.models.language import BertModel, TextFeatures, encode_in_groups, pad_captions
from glip.models.language.captions import GROUP_SIZE

#: Token ids; the second is the longest.
CAPTIONS = [(2, 5, 3), (2, 6, 7, 8, 9, 3), (2, 5, 6, 3)]


@pytest.fixture(scope="module")
def bert() -> BertModel:
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    return BertModel(max_tokens=10, config=dict(vocab_size=12, **sizes)).eval()


@torch.no_grad()
def test_as_if_encoded_alone(bert):
    captions = [*CAPTIONS, CAPTIONS[0]]
    features = TextFeatures.cat(encode_in_groups(captions, bert), width=6)
    assert features.hidden.shape == (4, 6, 16)
    for row, ids in enumerate(captions):
        alone = bert(torch.tensor([ids]), torch.ones(1, len(ids)))
        torch.testing.assert_close(features.hidden[row, : len(ids)], alone.hidden[0])
        assert features.embedded[row, len(ids) :].eq(0).all()
        assert features.mask[row].tolist() == [True] * len(ids) + [False] * (6 - len(ids))


@torch.no_grad()
def test_each_once(bert):
    with mock.patch.object(bert, "forward", wraps=bert.forward) as forward:
        encode_in_groups([*CAPTIONS, *CAPTIONS], bert)
    assert [len(call.args[0]) for call in forward.call_args_list] == [3]


@torch.no_grad()
def test_groups_are_sorted_by_length(bert):
    """Groups depend on the captions alone, so the features are equal bit by bit."""
    captions = [(2, *((5 + at % 6,) * (1 + at % 7)), 3) for at in range(42)]
    with mock.patch.object(bert, "forward", wraps=bert.forward) as forward:
        features = encode_in_groups(captions, bert)
    sizes = [tuple(call.args[0].shape) for call in forward.call_args_list]
    assert sizes == [(GROUP_SIZE, 5), (GROUP_SIZE, 8), (10, 9)]
    again = encode_in_groups(captions, bert)
    for ids, one, other in zip(captions, features, again, strict=True):
        assert one.hidden.shape == (1, len(ids), 16)
        assert torch.equal(one.hidden, other.hidden)


@torch.no_grad()
def test_select_and_concatenate(bert):
    features = bert(*pad_captions(CAPTIONS, bert))
    assert torch.equal(features[[2, 0]].hidden, features.hidden[[2, 0]])
    joined = TextFeatures.cat([features[2:], features[:2]], width=8)
    assert joined.mask.shape == (3, 8)
    assert torch.equal(joined.embedded[:, :6], features.embedded[[2, 0, 1]])
    assert not joined.hidden[:, 6:].any()


def test_gradients(bert):
    (one, other) = encode_in_groups([CAPTIONS[0], CAPTIONS[1]], bert)
    assert one.hidden.requires_grad
    assert other.hidden.requires_grad


def test_padded_to_all_tokens(bert):
    assert pad_captions(CAPTIONS, bert)[1].shape == (3, 6)
    with mock.patch.object(bert, "pad_to_max", True):
        assert pad_captions(CAPTIONS, bert)[1].shape == (3, 10)
