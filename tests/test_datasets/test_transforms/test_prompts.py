"""The prompts drawn for detection data keep every object and stay within the tokens."""

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.datasets.transforms import prompts
from glip.registry import TRANSFORMS
from glip.text import Prompt, tokenize
from glip.text.prompt import clean_name
from glip.text.tokenizer import load_tokenizer
from glip.utils.errors import AnnotationFileError
from tests.test_text.strategies import names as class_names
from tests.test_text.strategies import sentences

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
    allowed = negatives if labels else max(negatives, 1)
    assert len(absent) <= min(allowed, len(NAMES) - len(set(labels)))
    assert out["text"]


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


def test_too_many_positives_are_said(vocabulary, monkeypatch):
    said = []
    monkeypatch.setattr(prompts, "print_log", lambda message, **_: said.append(message))
    out = sampling(vocabulary, max_tokens=32)(results_of(range(40)))
    prompt = Prompt.from_class_names(out["text"])
    assert tokenize(prompt, load_tokenizer(vocabulary)).num_tokens <= 32
    assert len(out["gt_bboxes"]) == len(out["gt_bboxes_labels"]) == len(out["text"]) < 40
    assert [NAMES[int(box[0])] for box in out["gt_bboxes"]] == [
        out["text"][label] for label in out["gt_bboxes_labels"]
    ]
    assert f"{40 - len(out['text'])} of them are dropped with their boxes" in said[0]


def test_captions_pass(vocabulary):
    results = dict(text="A dog.", custom_entities=False)
    assert sampling(vocabulary)(dict(results)) == results


ODD_NAMES = st.sampled_from(["[SEP]", "u.s. flag", "x" * 120, "(blank)", "_", ".", "a. b", "[CLS"])


@given(
    names=st.lists(class_names | ODD_NAMES, min_size=1, max_size=40),
    limit=st.integers(8, 60),
    seed=st.integers(0, 9),
    data=st.data(),
)
@settings(deadline=None, max_examples=100)
def test_budget_is_exact(vocabulary, names, limit, seed, data):
    """The real caption fits, spans are the names, and no object is lost that there is room for."""
    labels = data.draw(st.lists(st.integers(0, len(names) - 1), max_size=9))
    worded = {
        name: dict(prefix="some ", name="other", suffix=", which is red")
        for name in data.draw(st.sets(st.sampled_from(names), max_size=3))
    }
    random.seed(seed)
    results = {**results_of(labels, tuple(names)), "caption_prompt": worded}
    out = sampling(vocabulary, max_tokens=limit, full_sampling_prob=1)(results)
    tokenizer = load_tokenizer(vocabulary)

    def tokens(chosen):
        prompt = Prompt.from_class_names(chosen, descriptions=worded, allow_blank=True)
        return prompt, tokenize(prompt, tokenizer).num_tokens

    present = [names[label] for label in sorted(set(labels))]
    if any(clean_name(name) or name in worded for name in present):
        fits = tokens(present)[1] <= limit
    else:
        fits = len(present) <= 1
    if out is None:
        assert not present or not fits
        return
    if any(clean_name(name) or name in worded for name in out["text"]):
        prompt, count = tokens(out["text"])
        assert count <= limit
        for name, phrase in zip(out["text"], prompt.phrases, strict=True):
            own = "other" if name in worded else clean_name(name)
            assert [prompt.caption[start:end] for start, end in phrase.spans] == [own] * bool(own)
    kept = [names[int(box[0])] for box in out["gt_bboxes"]]
    assert [out["text"][label] for label in out["gt_bboxes_labels"]] == kept
    if fits:
        assert kept == [names[label] for label in labels]


def test_labels_without_a_name(vocabulary):
    with pytest.raises(ValueError, match="labels from 0 to 40, and there are 40 names"):
        sampling(vocabulary)(results_of([0, 40]))


def test_label_map_file(vocabulary, tmp_path):
    path = tmp_path / "label_map.json"
    path.write_text(json.dumps({"0": "cat", "1": "dog"}))
    results = results_of([1])
    del results["text"]
    out = sampling(vocabulary, label_map_file=str(path), full_sampling_prob=1)(results)
    assert set(out["text"]) == {"cat", "dog"}
    assert out["text"][int(out["gt_bboxes_labels"][0])] == "dog"
    with pytest.raises(AnnotationFileError):
        sampling(vocabulary, label_map_file=str(tmp_path / "absent.json"))


@given(made=sentences(), limit=st.integers(24, 60), seed=st.integers(0, 9), data=st.data())
@settings(deadline=None, max_examples=60)
def test_long_captions_are_cut(vocabulary, made, limit, seed, data):
    caption, spans = made
    labels = data.draw(st.lists(st.integers(0, len(spans) - 1), max_size=6))
    results = {**results_of(labels, caption), "tokens_positive": spans}
    random.seed(seed)
    out = sampling(vocabulary, max_tokens=limit)(results)
    tokenizer = load_tokenizer(vocabulary)
    before = Prompt.from_spans(caption, spans)
    if out is None:
        assert tokenize(before, tokenizer).num_tokens > limit
        return
    after = Prompt.from_spans(out["text"], out["tokens_positive"])
    assert tokenize(after, tokenizer).num_tokens <= limit
    if tokenize(before, tokenizer).num_tokens <= limit:
        assert after == before
    assert len(out["gt_bboxes"]) > 0 or not labels
    for box, label in zip(out["gt_bboxes"], out["gt_bboxes_labels"], strict=True):
        assert after.names[label] == before.names[int(box[0])]
    assert len(out["gt_bboxes"]) == sum(before.names[label] in after.names for label in labels)


@pytest.mark.parametrize("words", [254, 255])
def test_a_long_caption_without_phrases_is_another_images_turn(vocabulary, words):
    results = dict(text=" ".join(["dog"] * words), img_path="a.jpg")
    out = sampling(vocabulary)(results)
    assert (out is results) == (words + 2 <= 256)


def test_what_is_cut_is_said(vocabulary, monkeypatch):
    said = []
    monkeypatch.setattr(prompts, "print_log", lambda message, **_: said.append(message))
    transform = sampling(vocabulary, max_tokens=32)
    caption = "a dog, " * 30 + "a cat"
    spans = [[[2, 5]], [[len(caption) - 3, len(caption)]]]
    kept = set()
    for seed in range(12):
        random.seed(seed)
        results = {**results_of([0, 1], caption), "tokens_positive": spans, "img_path": "a.jpg"}
        out = transform(results)
        kept |= {int(box[0]) for box in out["gt_bboxes"]}
    assert kept == {0, 1}  # another time the other
    assert len(said) == 2  # the first time and the tenth
    assert said[0].startswith("'a.jpg': its caption takes 94 tokens instead of 32; 1 boxes")
