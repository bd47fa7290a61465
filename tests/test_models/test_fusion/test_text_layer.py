"""The text layer against transformers' BERT."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel

from glip.models.fusion import TextLayer

DIM, HEADS, HIDDEN = 24, 3, 40
NAMES = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}


@pytest.fixture
def layers():
    """A BERT of one layer, and ours with the same weights."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=DIM,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        intermediate_size=HIDDEN,
    )
    bert = BertModel(config, add_pooling_layer=False).double().eval()
    for parameter in bert.encoder.parameters():
        nn.init.normal_(parameter, std=0.5)
    layer = TextLayer(DIM, num_heads=HEADS, intermediate_dim=HIDDEN).double().eval()
    theirs = bert.state_dict()
    layer.load_state_dict(
        {
            f"{ours}.{kind}": theirs[f"encoder.layer.0.{name}.{kind}"]
            for ours, name in NAMES.items()
            for kind in ("weight", "bias")
        }
    )
    return bert, layer


def test_as_in_bert(layers):
    bert, layer = layers
    ids = torch.randint(0, 50, (2, 9))
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    with torch.no_grad():
        out = bert(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True)
        found = layer(out.hidden_states[0], mask)
    torch.testing.assert_close(found[mask], out.last_hidden_state[mask])
    assert not torch.allclose(out.hidden_states[0], out.last_hidden_state)


def test_padding_changes_nothing(layers):
    _, layer = layers
    text = torch.randn(2, 6, DIM, dtype=torch.double)
    longer = torch.cat([text, 100 * torch.randn(2, 3, DIM, dtype=torch.double)], dim=1)
    mask = torch.arange(9) < 6
    with torch.no_grad():
        alone = layer(text, torch.ones(2, 6, dtype=torch.bool))
        padded = layer(longer, mask.expand(2, 9))
        unmasked = layer(longer, torch.ones(2, 9, dtype=torch.bool))
    torch.testing.assert_close(padded[:, :6], alone)
    assert not torch.allclose(unmasked[:, :6], alone)


def test_clamps(layers):
    """The official guard: logits and both feed-forward activations stay within 50,000."""
    _, layer = layers
    text = torch.randn(1, 4, DIM, dtype=torch.double)
    mask = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        layer.query.weight *= 1e6
        layer.intermediate.weight *= 1e6
        layer.output.weight *= 100
        query, key, value = (
            linear(text).view(4, HEADS, -1).transpose(0, 1)
            for linear in (layer.query, layer.key, layer.value)
        )
        logits = query @ key.mT / (DIM // HEADS) ** 0.5
        assert logits.abs().max() > 1e5
        read = logits.clamp(-5e4, 5e4).softmax(-1) @ value
        read = layer.attention_output(read.transpose(0, 1).reshape(1, 4, DIM))
        middle = layer.attention_norm(text + read)
        hidden = F.gelu(layer.intermediate(middle).clamp(max=5e4)).clamp(max=5e4)
        out = layer.output(hidden)
        assert out.abs().max() > 1e5
        expected = layer.output_norm(middle + out.clamp(-5e4, 5e4))
        torch.testing.assert_close(layer(text, mask), expected)


def test_dropout_only_in_training(layers):
    _, layer = layers
    text, mask = torch.randn(1, 4, DIM, dtype=torch.double), torch.ones(1, 4, dtype=torch.bool)
    assert torch.equal(layer(text, mask), layer(text, mask))
    layer.train()
    assert not torch.equal(layer(text, mask), layer(text, mask))


def test_eps_of_the_norms():
    layer = TextLayer(DIM, num_heads=HEADS)
    assert layer.attention_norm.eps == layer.output_norm.eps == 1e-12
