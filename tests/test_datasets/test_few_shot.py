"""Few-shot subsets: the official rule, by hand, by its properties, and with its seeds."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glip.datasets.few_shot import SEEDS, SHOTS, choose_images
from glip.utils.errors import DataError


def showing(*categories, box=(0, 0, 9, 9)):
    return [dict(category_id=each, bbox=list(box)) for each in categories]


#: By id, not in its order: image 1 shows a cat and two dogs, 2 a dog, ...
CAT, DOG, COW = 7, 8, 30
ANNOTATIONS = {
    5: showing(DOG),
    1: showing(CAT, DOG, DOG),
    2: showing(DOG),
    3: showing(DOG, COW),
    4: showing(),
    6: showing(CAT, box=(3, 3, 1, 40)),
    8: showing(CAT),
    9: showing(CAT, DOG),
}


@pytest.mark.parametrize(
    ("shots", "chosen"),
    [
        # 1: new are cat and dog. 2: a dog again. 3: new is the cow. 4 is empty, 6 has no area.
        (1, [1, 3]),
        # 2 shows the second dog, 3 the cow (and a third dog), 8 the second cat.
        (2, [1, 2, 3, 8]),
        # 9 shows the third cat; of dogs there are three by then.
        (3, [1, 2, 3, 8, 9]),
        # 5 shows the fourth dog.
        (4, [1, 2, 3, 5, 8, 9]),
        (9, [1, 2, 3, 5, 8, 9]),
    ],
)
def test_by_hand(shots, chosen):
    assert choose_images(ANNOTATIONS, shots, 0) == chosen


def test_shuffled_by_hand():
    """Python's own shuffling of the sorted ids, after the unusable images are gone."""
    order = [1, 2, 3, 5, 8, 9]
    random.Random(3).shuffle(order)
    assert order == [1, 3, 5, 9, 8, 2]
    # 1: cat and dog. 3: the cow.
    assert choose_images(ANNOTATIONS, 1, 3) == [1, 3]
    # 3 shows the second dog too, so 5 shows nothing new; 9 shows the second cat.
    assert choose_images(ANNOTATIONS, 2, 3) == [1, 3, 9]


def test_a_crowd_tells_what_an_image_shows():
    annotations = {1: [dict(showing(CAT)[0], iscrowd=1)], 2: showing(CAT)}
    assert choose_images(annotations, 1, 0) == [1]


def test_an_image_with_one_large_box_keeps_its_small_ones():
    annotations = {1: showing(CAT) + showing(DOG, box=(0, 0, 1, 1)), 2: showing(DOG)}
    assert choose_images(annotations, 1, 0) == [1]


annotations = st.dictionaries(
    st.integers(0, 60), st.lists(st.integers(0, 6), max_size=4).map(lambda each: showing(*each))
)


@given(annotations, st.integers(1, 4), st.sampled_from([0, *SEEDS]))
def test_properties(images, shots, seed):
    chosen = choose_images(images, shots, seed)
    assert len(set(chosen)) == len(chosen)
    shown = {key: {each["category_id"] for each in value} for key, value in images.items()}
    counts = Counter(category for key in chosen for category in shown[key])
    available = Counter(category for each in shown.values() for category in each)
    for category, count in available.items():
        assert counts[category] >= min(shots, count)
    # Nothing was taken in vain: each image, when it was taken, showed something rare.
    before: Counter = Counter()
    for key in chosen:
        assert any(before[category] < shots for category in shown[key])
        before.update(shown[key])
    shuffled = dict(sorted(images.items(), reverse=True))
    assert choose_images(shuffled, shots, seed) == chosen
    # More shots in the same order: all of these, and more.
    assert set(chosen) <= set(choose_images(images, shots + 1, seed))


def test_seeds_differ():
    images = {key: showing(key % 3) for key in range(60)}
    assert len({tuple(choose_images(images, 5, seed)) for seed in (0, *SEEDS)}) == 4
    assert SHOTS == (1, 3, 5, 10)


def test_ids_may_be_texts():
    assert choose_images({"b": showing(1), "a": showing(1)}, 1, 0) == ["a"]
    assert choose_images({"b": showing(1), 1: showing(1)}, 2, 0) == [1, "b"]


@pytest.mark.parametrize("shots", [0, -1])
def test_no_shots(shots):
    with pytest.raises(DataError, match=f"expected 1 shot or more, got {shots}"):
        choose_images(ANNOTATIONS, shots, 3)
