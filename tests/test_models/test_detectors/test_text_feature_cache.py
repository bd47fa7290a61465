"""Text features that images and calls share."""

from __future__ import annotations

import copy

import pytest
import torch

from glip.models import TextFeatureCache
from glip.models.detectors.text_feature_cache import sum_bits
from glip.text import Prompt


@pytest.fixture
def model(tiny_model):
    model = copy.deepcopy(tiny_model)
    model.chunked_size = 2
    return model


@pytest.fixture
def calls(model):
    """The number of captions in each call of the language encoder."""
    calls = []
    model.language_model.register_forward_hook(lambda _, given, out: calls.append(len(given[0])))
    return calls


def names(count, word="thing"):
    return Prompt.from_class_names([f"{word} {at}" for at in range(count)])


def permute(model, dim):
    """Reverse the words, or the channels of a word, which keeps the sum of the weights."""
    weights = model.language_model.bert.embeddings.word_embeddings.weight
    weights.data.copy_(weights.data.flip(dim))


def nudge(model):
    """Change one weight of many by the smallest amount."""
    weights = model.language_model.bert.embeddings.word_embeddings.weight
    weights.data[5, 5] = weights.data[5, 5].nextafter(torch.tensor(9.0))


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
@pytest.mark.parametrize("shape", [(), (3,), (1000,), (7, 300), (2048,)])
def test_sums_differ_after_any_change(dtype, shape):
    value = (torch.rand(shape) * 200).to(dtype)
    before = sum_bits(value)
    assert torch.equal(sum_bits(value.clone()), before)
    flat = value.flatten()
    for at in range(0, value.numel(), 97):
        changed = flat.clone()
        changed[at] += 2
        assert not torch.equal(sum_bits(changed.view(shape)), before)
        swapped = flat.clone()
        swapped[[at, -1]] = flat[[-1, at]]
        assert torch.equal(swapped, flat) or not torch.equal(sum_bits(swapped.view(shape)), before)


@torch.no_grad()
def test_each_prompt_once(model, calls):
    cache = TextFeatureCache(model)
    first = cache.encode_prompt(names(5))
    assert cache.encode_prompt(names(5)) is first  # an equal prompt, as another image brings it
    assert cache.chunk_prompt(names(5)) is first.chunks
    assert calls == [3]
    expected = model.encode_prompt(names(5))
    for one, other in zip(first.features, expected.features, strict=True):
        assert torch.equal(one.hidden, other.hidden)


@torch.no_grad()
def test_bounded(model, calls):
    cache = TextFeatureCache(model, max_captions=4)
    for word in ("car", "dog", "car", "cat", "car", "dog"):  # two captions each
        cache.encode_prompt(names(4, word))
    assert calls == [2] * 4  # the dog was dropped for the cat, the car was used since
    for _ in range(2):
        assert len(cache.encode_prompt(names(9))) == 5
    assert calls[4:] == [5, 5]


@torch.no_grad()
@pytest.mark.parametrize(
    "change",
    [
        lambda model: [each.data.mul_(0.9) for each in model.language_model.parameters()],
        lambda model: setattr(
            model.language_model.bert.embeddings.word_embeddings.weight,
            "data",
            model.language_model.bert.embeddings.word_embeddings.weight * 0.9,
        ),
        lambda model: permute(model, 0),
        lambda model: permute(model, 1),
        lambda model: nudge(model),
        lambda model: model.double(),
        lambda model: setattr(model, "chunked_size", 3),
    ],
)
def test_cleared_if_changed(model, calls, change):
    cache = TextFeatureCache(model)
    cache.clear_if_changed()
    cache.encode_prompt(names(2))
    cache.clear_if_changed()
    cache.encode_prompt(names(2))
    assert calls == [1]
    change(model)
    cache.clear_if_changed()
    found = cache.encode_prompt(names(2)).features[0].hidden
    assert calls == [1, 1]
    assert torch.equal(found, model.encode_prompt(names(2)).features[0].hidden)


@torch.no_grad()
def test_cleared_if_precision_changes(model, calls):
    cache = TextFeatureCache(model)
    cache.clear_if_changed()
    cache.encode_prompt(names(2))
    with torch.autocast("cpu", torch.bfloat16):
        cache.clear_if_changed()
        cache.encode_prompt(names(2))
    assert calls == [1, 1]


def test_unknown_words_are_reported_once(tiny_model, caplog):
    cache = TextFeatureCache(tiny_model)
    unknown = ["\u2623\u2620", "x" * 5000]
    cache.encode_prompt(Prompt.from_class_names(["dog", *unknown]))
    (message,) = caplog.messages
    assert message.startswith("2 of 3 phrases have no word that the tokenizer knows, for example")
    assert len(message) < 400
    cache.encode_prompt(Prompt.from_class_names(["cat", *unknown]))
    cache.encode_prompt(Prompt.from_class_names(["dog", "a cat \u2623"]))
    assert len(caplog.messages) == 1
    cache.encode_prompt(Prompt.from_class_names(["\u2625", *unknown]))
    assert "3 such phrases so far" in caplog.messages[1]
