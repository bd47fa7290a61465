"""The language encoder: built without files, and its tokenizer kept with its weights."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.models import BertModel
from glip.utils.errors import TokenizerNotFoundError

SMALL = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20)


def make(vocabulary: str = "bert-base-uncased", **options: object) -> BertModel:
    torch.manual_seed(0)
    return BertModel(vocabulary, config=SMALL, **options).eval()


@pytest.fixture
def captions():
    """Token ids and mask of two captions, the second three tokens shorter."""
    torch.manual_seed(1)
    return torch.randint(1000, 2000, (2, 8)), torch.arange(8) < torch.tensor([[8], [5]])


def test_base_needs_no_file():
    with torch.device("meta"):
        config = BertModel("bert-base-uncased").bert.config
        elsewhere = BertModel("/some/folder/bert-base-uncased").bert.config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (768, 12, 30522)
    assert elsewhere.to_dict() == config.to_dict()


def test_settings_of_a_folder(tmp_path):
    make().bert.config.save_pretrained(tmp_path)
    model = BertModel(str(tmp_path))
    assert model.bert.config.hidden_size == 12
    assert model.head_arguments() == {
        "text_channels": 12,
        "num_text_heads": 3,
        "text_intermediate_dim": 20,
    }


def test_features(captions):
    ids, mask = captions
    with torch.no_grad():
        text = make()(ids, mask)
        alone = make()(ids[1:, :5], mask[1:, :5])
        integers = make()(ids, mask.long())
    assert text.hidden.shape == text.embedded.shape == (2, 8, 12)
    assert torch.equal(text.embedded[mask], text.hidden[mask])
    assert text.embedded[~mask].eq(0).all()
    assert text.hidden[~mask].ne(0).any()
    assert text.mask.dtype == integers.mask.dtype == torch.bool
    assert torch.equal(integers.hidden, text.hidden)
    # Padding is masked everywhere.
    torch.testing.assert_close(text.hidden[1:, :5], alone.hidden)


def test_rows_of_features(captions):
    text = make()(*captions)
    rows = text[[1, 1, 0]]
    for name in ("hidden", "embedded", "mask"):
        assert torch.equal(getattr(rows, name), getattr(text, name)[[1, 1, 0]])


def test_learned_prompt(captions):
    ids, mask = captions
    model = make(learned_prompt=10)
    plain = make()(ids, mask)
    torch.testing.assert_close(model(ids, mask).hidden, plain.hidden)  # it starts with zeros
    torch.nn.init.normal_(model.prompt.weight)
    text = model(ids, mask)
    learned = model.prompt.weight[:8]
    torch.testing.assert_close(text.hidden, plain.hidden + learned)
    torch.testing.assert_close(text.embedded, plain.embedded + learned)


def test_recomputing_changes_nothing(captions):
    gradients = []
    for use_checkpoint in (False, True):
        model = make(use_checkpoint=use_checkpoint).train()
        torch.manual_seed(2)  # of the dropout
        model(*captions).hidden.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_tokenizer_travels_with_the_weights(vocabulary, tmp_path):
    source = make(vocabulary)
    ids = source.tokenizer("A bench. Straße").input_ids
    torch.save(source.state_dict(), tmp_path / "state.pth")
    target = make(str(tmp_path / "nowhere"))
    with pytest.raises(TokenizerNotFoundError, match="create the folder"):
        _ = target.tokenizer
    target.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    assert target.tokenizer("A bench. Straße").input_ids == ids


def test_without_a_tokenizer_nothing_is_stored():
    state = make().state_dict()["_extra_state"]
    assert state.numel() == 0
    make().load_state_dict(make().state_dict())


def test_registered():
    from glip.registry import MODELS

    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(dict(type="BertModel", name="bert-base-uncased", config=SMALL))
    assert type(model) is BertModel
    assert (model.max_tokens, model.pad_to_max) == (256, False)
