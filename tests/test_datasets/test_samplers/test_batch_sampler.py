"""Batches of similar aspect ratios: every image once, and deterministic after a restart."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler, RepeatDataset
from mmengine.registry import DATA_SAMPLERS, DefaultScope
from mmengine.runner import Runner

from glip.datasets import ConcatDataset
from glip.datasets.samplers import AspectRatioBatchSampler
from glip.registry import DATASETS
from glip.utils.errors import DataError
from tests.test_datasets.files import CLASSES, PIPELINE, coco_content, draw, write

PORTRAIT, LANDSCAPE, SQUARE = (
    dict(width=3, height=4),
    dict(width=4, height=3),
    dict(width=4, height=4),
)
UNKNOWN = dict(width=0, height=0)


class Images(list):
    """A data set of sizes."""

    def get_data_info(self, idx):
        return self[idx]


class Order:
    """A sampler that gives the indices in a fixed order."""

    def __init__(self, dataset, order):
        self.dataset, self.order = dataset, order

    def __iter__(self):
        return iter(self.order)

    def __len__(self):
        return len(self.order)


sizes = st.lists(st.sampled_from([PORTRAIT, LANDSCAPE, SQUARE, UNKNOWN]), max_size=40)


@given(sizes, st.integers(1, 6), st.booleans(), st.randoms(use_true_random=False))
def test_every_image_once(images, batch_size, drop_last, random):
    order = list(range(len(images)))
    random.shuffle(order)
    sampler = AspectRatioBatchSampler(Order(Images(images), order), batch_size, drop_last)
    batches = list(sampler)
    assert batches == list(sampler)
    found = list(itertools.chain(*batches))
    assert len(set(found)) == len(found)
    assert len(batches) == len(sampler)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    if drop_last:
        assert len(order) - len(found) == len(order) % batch_size
    else:
        assert sorted(found) == sorted(order)
    upright = [[images[idx] == PORTRAIT for idx in batch] for batch in batches]
    # Only the images left over at the end, fewer than two batches, may be mixed.
    mixed = [at for at, each in enumerate(upright) if len(set(each)) > 1]
    assert all(at >= len(batches) - 2 for at in mixed)


def test_by_hand():
    images = Images([PORTRAIT, LANDSCAPE, LANDSCAPE, PORTRAIT, SQUARE, PORTRAIT, LANDSCAPE])
    sampler = AspectRatioBatchSampler(Order(images, [0, 1, 2, 3, 4, 5, 6]), 2)
    assert list(sampler) == [[1, 2], [0, 3], [4, 6], [5]]
    assert len(sampler) == 4


@pytest.mark.parametrize("left_at", [1, 2, 3])
def test_a_pass_left_half_way_changes_nothing(left_at):
    images = Images([PORTRAIT, LANDSCAPE] * 6)
    sampler = AspectRatioBatchSampler(DefaultSampler(images, seed=3), 4)
    expected = list(sampler)
    for _ in zip(range(left_at), sampler, strict=False):
        pass
    assert list(sampler) == expected


def test_resuming_an_epoch_gives_the_same_batches():
    """What a run that is started again at epoch 5 sees is what the first one saw there."""
    images = Images([PORTRAIT, LANDSCAPE, LANDSCAPE, SQUARE, PORTRAIT] * 5)

    def batches(epochs):
        sampler = DefaultSampler(images, shuffle=True, seed=7)
        grouped = AspectRatioBatchSampler(sampler, 3)
        for epoch in epochs:
            sampler.set_epoch(epoch)
            found = list(grouped)
        return found

    assert batches(range(6)) == batches([5])
    assert batches([4]) != batches([5])


def test_infinite_sampler():
    images = Images([PORTRAIT, LANDSCAPE, LANDSCAPE] * 4)
    first, again = (
        list(
            itertools.islice(
                AspectRatioBatchSampler(InfiniteSampler(images, seed=1), 2), start, stop
            )
        )
        for start, stop in ((0, 30), (10, 30))
    )
    assert first[10:] == again
    assert all(len({images[idx]["width"] for idx in batch}) == 1 for batch in first)
    assert {idx for batch in first for idx in batch} == set(range(12))


def test_as_many_batches_in_every_process():
    """With unequal shares of upright images no process waits for another at the end."""
    images = Images([PORTRAIT] * 10 + [LANDSCAPE] * 10)
    for order in ([*range(0, 10)], [*range(5, 15)], [*range(0, 20, 2)]):
        sampler = AspectRatioBatchSampler(Order(images, order), 4)
        assert len(list(sampler)) == len(sampler) == math.ceil(10 / 4)


@pytest.mark.parametrize("batch_size", [0, -1, 2.0, "2", True])
def test_batch_size(batch_size):
    with pytest.raises(DataError, match="batch_size of 1 or more"):
        AspectRatioBatchSampler(DefaultSampler(Images([LANDSCAPE]), seed=0), batch_size)


@pytest.mark.parametrize("dataset", [None, [LANDSCAPE]])
def test_a_sampler_without_a_data_set(dataset):
    with pytest.raises(DataError, match="a Order has no such data set"):
        AspectRatioBatchSampler(Order(dataset, [0]), 1)


@pytest.mark.parametrize("wrap", ["none", "repeat", "concat"])
def test_in_a_data_loader(tmp_path, wrap):
    """As mmengine builds it from a config, over our data sets and what wraps them."""
    content = coco_content()
    content["images"][1].update(height=80)
    draw(tmp_path / "images", content)
    dataset = dict(
        type="CocoDataset",
        ann_file=write(tmp_path, content),
        data_prefix=dict(img=str(tmp_path / "images")),
        metainfo=dict(classes=CLASSES),
        pipeline=PIPELINE,
    )
    with DefaultScope.overwrite_default_scope("glip"):
        assert (
            DATA_SAMPLERS.build(
                dict(
                    type="AspectRatioBatchSampler",
                    sampler=DefaultSampler(Images([LANDSCAPE]), seed=0),
                    batch_size=1,
                )
            ).drop_last
            is False
        )
        built = DATASETS.build(dataset)
        if wrap == "repeat":
            built = RepeatDataset(built, times=2)
        elif wrap == "concat":
            built = ConcatDataset([built, DATASETS.build(dataset)])
        loader = Runner.build_dataloader(
            dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=True),
                batch_sampler=dict(type="AspectRatioBatchSampler"),
                dataset=built,
            ),
            seed=0,
        )
    shapes = [[sample.ori_shape for sample in batch["data_samples"]] for batch in loader]
    assert sum(len(each) for each in shapes) == (3 if wrap == "none" else 6)
    assert len(shapes) == len(loader)
    if wrap != "none":
        assert [(80, 50), (80, 50)] in shapes
