"""The prompts drawn for detection data keep every object and stay within the tokens."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.registry import TRANSFORMS
from glip.text import Prompt, tokenize
from glip.text.tokenizer import load_tokenizer

NAMES = tuple(f"thing {number}" for number in range(40))


def results_of(labels, names=NAMES):
    labels = np.array(labels, dtype=np.int64)
    boxes = np.stack([labels, labels, labels + 5, labels + 5], axis=1).astype(np.float32)
    return dict(text=names, custom_entities=True, gt_bboxes=boxes, gt_bboxes_labels=labels)


def sampling(vocabulary, **options):
    return TRANSFORMS.build(dict(type="RandomSamplingNegPos", tokenizer_name=vocabulary, **options))


@given(
    labels=st.lists(st.integers(0, 39), max_size=12),
    negatives=st.integers(0, 50),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_labels_follow_their_names(vocabulary, labels, negatives, seed):
    random.seed(seed)
    out = sampling(vocabulary, num_sample_negative=negatives)(results_of(labels))
    meant = [NAMES[label] for label in labels]
    assert [out["text"][label] for label in out["gt_bboxes_labels"]] == meant
    assert out["gt_bboxes"][:, 0].tolist() == labels
    assert len(set(out["text"])) == len(out["text"])
    absent = set(out["text"]) - set(meant)
    assert len(absent) <= min(negatives, len(NAMES) - len(set(labels)))


@pytest.mark.parametrize("always", [0.0, 1.0])
def test_how_many_negatives(vocabulary, always):
    random.seed(0)
    transform = sampling(vocabulary, num_sample_negative=20, full_sampling_prob=always)
    counts = {len(transform(results_of([3]))["text"]) - 1 for _ in range(50)}
    assert counts == {20} if always else len(counts) > 8 and counts <= set(range(1, 21))


def test_order_is_shuffled(vocabulary):
    random.seed(0)
    transform = sampling(vocabulary, num_sample_negative=5, full_sampling_prob=1)
    places = {transform(results_of([3]))["gt_bboxes_labels"].item() for _ in range(60)}
    assert places == set(range(6))


def test_negatives_give_way_to_the_limit(vocabulary):
    random.seed(0)
    names = tuple(f"unbelievably {number} remarkable" for number in range(60))
    transform = sampling(vocabulary, max_tokens=64, full_sampling_prob=1)
    out = transform(results_of([0, 7, 7, 30], names))
    prompt = Prompt.from_class_names(out["text"])
    tokens = tokenize(prompt, load_tokenizer(vocabulary)).num_tokens
    assert 64 - 8 < tokens <= 64
    assert [out["text"][label] for label in out["gt_bboxes_labels"]] == [
        names[label] for label in (0, 7, 7, 30)
    ]


def test_too_many_positives_are_said(vocabulary, caplog):
    with caplog.at_level("WARNING"):
        out = sampling(vocabulary, max_tokens=32)(results_of(range(40)))
    prompt = Prompt.from_class_names(out["text"])
    assert tokenize(prompt, load_tokenizer(vocabulary)).num_tokens <= 32
    assert len(out["gt_bboxes"]) == len(out["gt_bboxes_labels"]) == len(out["text"]) < 40
    assert [NAMES[int(box[0])] for box in out["gt_bboxes"]] == [
        out["text"][label] for label in out["gt_bboxes_labels"]
    ]


def test_captions_pass(vocabulary):
    results = dict(text="A dog.", custom_entities=False)
    assert sampling(vocabulary)(dict(results)) == results


@pytest.mark.parametrize("words", [1, 254, 255, 300])
def test_a_caption_that_is_too_long_is_another_images_turn(vocabulary, words):
    results = dict(text=" ".join(["dog"] * words), tokens_positive=[[[0, 3]]])
    out = sampling(vocabulary)(results)
    prompt = Prompt.from_spans(results["text"], results["tokens_positive"])
    tokens = tokenize(prompt, load_tokenizer(vocabulary)).num_tokens
    assert (out is results) == (tokens <= 256)
    assert tokens == words + 2
