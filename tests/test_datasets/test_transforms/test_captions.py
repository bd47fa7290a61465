"""Captions of other images in a prompt: the image's own phrases stay the same words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glip.datasets import Flickr30kDataset
from glip.engine.seeding import fork_rng
from glip.registry import TRANSFORMS
from glip.text import Prompt, tokenize
from glip.text.joining import with_period
from glip.text.tokenizer import load_tokenizer
from glip.utils.errors import ConfigError, DataError
from tests.test_datasets.files import draw, write
from tests.test_text.strategies import sentences


class Captions(list):
    """A data set of captions, names in between."""

    def get_data_info(self, idx):
        return dict(text=self[idx], img_path=f"{idx}.jpg")


OTHERS = Captions(
    ["A cat on a mat.", ("cat", "dog"), "two people walk", "Snow [SEP] rain", "", "a " * 90]
    + [f"picture number {number} of a street" for number in range(30)]
)


def packing(vocabulary, dataset=OTHERS, **options):
    transform = TRANSFORMS.build(
        dict(type="PackNegativeCaptions", tokenizer_name=vocabulary, **options)
    )
    if dataset is not None:
        transform.use_dataset(dataset)
    return transform


def results_of(caption="a left dog and a man", spans=([[2, 10]], [[15, 20]]), **more):
    return dict(text=caption, tokens_positive=list(spans), img_path="own.jpg", **more)


@given(made=sentences(), limit=st.integers(40, 256), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_phrases_follow(vocabulary, made, limit, seed):
    caption, spans = made
    transform = packing(vocabulary, max_tokens=limit, none_prob=0, full_prob=1)
    with fork_rng(seed):
        out = transform(results_of(caption, spans))
    assert with_period(caption) in with_period(out["text"])
    for old, new in zip(spans, out["tokens_positive"], strict=True):
        assert [out["text"][slice(*each)] for each in new] == [
            caption[slice(*each)] for each in old
        ]
    tokenizer = load_tokenizer(vocabulary)
    alone = tokenize(Prompt.from_spans(caption, spans), tokenizer).num_tokens
    whole = tokenize(Prompt.from_spans(out["text"], out["tokens_positive"]), tokenizer).num_tokens
    assert whole <= max(limit, alone)
    if whole == alone and "." not in out["text"][-1:]:
        assert out["text"] == caption
    if alone + 12 < limit:  # there was room for one of them
        assert out["text"] != caption


def test_how_many_and_where(vocabulary):
    """Four of ten images have none, of the others half have all; the own caption is anywhere."""
    transform = packing(vocabulary, num_captions=4)
    counts, places = [], set()
    for seed in range(400):
        with fork_rng(seed):
            text = transform(results_of())["text"]
        counts.append(sum(text.count(end) for end in ("street.", "mat.", "walk.", "rain.", "a a.")))
        places.add(text.index("a left dog") > 0)
    # None 40 %, and of 30 % a quarter; all four 30 %, but for the one that is empty.
    assert 0.4 < counts.count(0) / 400 < 0.56
    assert 0.2 < counts.count(4) / 400 < 0.4
    assert max(counts) == 4
    assert places == {True, False}


def test_what_is_drawn_follows_from_the_seed(vocabulary):
    transform, other = packing(vocabulary), packing(vocabulary)
    drawn = []
    for seed in range(20):
        with fork_rng(seed):
            drawn.append(transform(results_of())["text"])
    with fork_rng(7):
        assert other(results_of())["text"] == drawn[7]
    assert len(set(drawn)) > 8


def test_not_from_the_same_image(vocabulary):
    dataset = Captions(["A dog.", "a left dog and a man ", "a cat", "snow"])
    transform = packing(vocabulary, dataset, none_prob=0, full_prob=1)
    seen = set()
    for seed in range(30):
        random.seed(seed)
        seen |= set(transform(dict(results_of(), img_path="0.jpg"))["text"].split(". "))
    assert {each.rstrip(".") for each in seen} == {"a left dog and a man", "a cat", "snow"}


@pytest.mark.parametrize(
    "results",
    [dict(text=("cat", "dog")), dict(text="a cat"), dict(text="a cat", tokens_positive=-1)],
)
def test_other_prompts_pass(vocabulary, results):
    assert packing(vocabulary, none_prob=0)(dict(results)) == results


@pytest.mark.parametrize(
    "options", [dict(num_captions=0), dict(none_prob=1.1), dict(full_prob=-0.1)]
)
def test_options_out_of_range(vocabulary, options):
    (name,) = options
    with pytest.raises(ConfigError, match=rf"expected PackNegativeCaptions\.{name} as"):
        packing(vocabulary, **options)


def test_without_a_data_set(vocabulary):
    with pytest.raises(DataError, match="belongs to none"):
        packing(vocabulary, None)(results_of())
    transform = packing(vocabulary)
    with pytest.raises(DataError, match="pipelines of two data sets"):
        transform.use_dataset(Captions(["another"]))


def test_in_a_pipeline(vocabulary, tmp_path):
    """A data set gives itself, so does its copy; spans follow a flip that swaps left and right."""
    content = dict(images=[], annotations=[])
    captions = ["a dog left of a man", "a man right of a dog", "snow on the left"]
    for number, caption in enumerate(captions):
        end = caption.index(" ", 2)
        span = [0, end]
        content["images"].append(
            dict(
                id=number,
                file_name=f"{number}.png",
                height=40,
                width=60,
                caption=caption,
                tokens_positive_eval=[[span]],
            )
        )
        content["annotations"].append(
            dict(id=number, image_id=number, bbox=[5, 5, 20, 20], area=400, iscrowd=0)
            | dict(category_id=1, tokens_positive=[span])
        )
    draw(tmp_path, content)
    dataset = Flickr30kDataset(
        write(tmp_path, content),
        data_prefix=dict(img=str(tmp_path)),
        test_mode=False,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations", with_bbox=True),
            dict(type="RandomFlip_GLIP", prob=1.0, swap_left_right=True),
            dict(
                type="PackNegativeCaptions", tokenizer_name=vocabulary, none_prob=0.0, full_prob=1.0
            ),
            dict(type="PackDetInputs"),
        ],
    )
    first = dataset.get_subset([1])
    for data, index in ((dataset, 0), (dataset, 1), (first, 0)):
        with fork_rng(5):
            sample = data[index]["data_samples"]
        own = index if data is dataset else 1
        (span,) = sample.tokens_positive[0]
        assert sample.text[slice(*span)] == captions[own][: captions[own].index(" ", 2)]
        assert sample.flip
        flipped = captions[own].replace("left", "?").replace("right", "left").replace("?", "right")
        assert flipped in sample.text
        others = len(sample.text.rstrip(".").split(". ")) - 1
        assert others == (len(data) - 1)
