"""Epochs in proportion to the weights: deterministic, and divided among the processes."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from glip.datasets import ConcatDataset
from glip.datasets.samplers import AspectRatioBatchSampler, WeightedConcatSampler, weighted_sampler
from glip.datasets.samplers.weighted_sampler import apportion
from glip.engine.seeding import SeededDataLoader
from glip.utils.errors import DataError
from tests.test_datasets.files import CLASSES, PIPELINE, coco_content, draw, write


class Mixed:
    """Stands for a ``ConcatDataset`` of so many images each."""

    def __init__(self, *sizes, upright=()):
        self.metainfo = dict(sizes=list(sizes))
        self.upright = set(upright)

    def __len__(self):
        return sum(self.metainfo["sizes"])

    def get_data_info(self, index):
        return dict(width=3, height=4) if index in self.upright else dict(width=4, height=3)

    def parts(self, indices):
        """How many indices are of each data set."""
        sizes = self.metainfo["sizes"]
        starts = [sum(sizes[:at]) for at in range(len(sizes))]
        places = (max(at for at, start in enumerate(starts) if start <= i) for i in indices)
        counts = Counter(places)
        return [counts[at] for at in range(len(sizes))]


def epoch(dataset, number=0, *, rank=0, processes=1, **options):
    """The indices of an epoch in one process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted_sampler, "get_dist_info", lambda: (rank, processes))
        sampler = WeightedConcatSampler(dataset, **{"seed": 3, **options})
    sampler.set_epoch(number)
    indices = list(sampler)
    assert len(indices) == len(sampler)
    assert indices == list(sampler)
    return indices


def test_shares():
    dataset = Mixed(100, 10, 1000)
    indices = epoch(dataset, weights=[2, 1, 1], epoch_length=400)
    assert dataset.parts(indices) == [200, 100, 100]
    counts = Counter(indices)
    assert {counts[index] for index in range(100)} == {2}
    assert {counts[index] for index in range(100, 110)} == {10}
    assert len({index for index in indices if index >= 110}) == 100


def test_without_weights_all_once():
    assert sorted(epoch(Mixed(5, 30, 8))) == list(range(43))


@given(st.integers(1, 1000), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_apportion(total, weights):
    counts = apportion(total, weights)
    assert sum(counts) == total
    for count, weight in zip(counts, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1 + 1e-6


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    length=st.integers(30, 90),
    epochs=st.integers(1, 6),
    data=st.data(),
)
def test_all_images_come_equally_often(sizes, length, epochs, data):
    """Over any number of epochs, those of one data set to within one time."""
    weights = [data.draw(st.sampled_from([0.5, 1, 2, 5])) for _ in sizes]
    seen = Counter(
        chain.from_iterable(
            epoch(Mixed(*sizes), number, weights=weights, epoch_length=length)
            for number in range(epochs)
        )
    )
    start = 0
    for size in sizes:
        times = [seen[index] for index in range(start, start + size)]
        assert max(times) - min(times) <= 1
        start += size


@given(
    processes=st.integers(1, 5),
    length=st.integers(20, 60),
    number=st.integers(0, 5),
    seed=st.integers(0, 2**31),
)
def test_processes_share_an_epoch_out(processes, length, number, seed):
    """Together they see what one process sees, image for image."""
    dataset = Mixed(40, 7, 13)
    options = dict(weights=[1, 1, 3], seed=seed)
    parts = [
        epoch(dataset, number, rank=rank, processes=processes, epoch_length=length, **options)
        for rank in range(processes)
    ]
    assert len({len(part) for part in parts}) == 1
    whole = epoch(dataset, number, epoch_length=len(parts[0]) * processes, **options)
    for rank, part in enumerate(parts):
        assert part == whole[rank::processes]


def test_disjoint():
    parts = [epoch(Mixed(40, 60), rank=rank, processes=2) for rank in range(2)]
    assert sorted(parts[0] + parts[1]) == list(range(100))


def test_order_follows_from_seed_and_epoch():
    dataset = Mixed(50, 50)
    assert epoch(dataset, 4) == epoch(dataset, 4)
    assert epoch(dataset, 4) != epoch(dataset, 5)
    assert epoch(dataset, 4) != epoch(dataset, 4, seed=4)
    state = torch.random.get_rng_state()
    epoch(dataset)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_with_batches_of_one_shape():
    dataset = Mixed(20, 20, upright=range(0, 40, 3))
    sampler = WeightedConcatSampler(dataset, weights=[3, 1], seed=0)
    batches = AspectRatioBatchSampler(sampler, 4)
    shapes = [{index in dataset.upright for index in batch} for batch in batches]
    assert len(shapes) == len(batches) == 10
    assert sum(len(each) > 1 for each in shapes) <= 1
    assert dataset.parts(chain.from_iterable(batches)) == [30, 10]


def test_absent_data_sets_have_no_share():
    dataset = Mixed(10, 0, 30)
    assert dataset.parts(epoch(dataset, weights=[1, 5, 1])) == [20, 0, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(weights=[1]), "a weight for each of 2 data sets, got 1"),
        (dict(weights=[1, 0]), r"weights above 0, got \[1, 0\]"),
        (dict(weights=[1, float("nan")]), "weights above 0"),
        (dict(weights=[1, "2"]), "weights above 0"),
        (dict(weights=[1000, 1]), "weight 2, 1 of 1001, is less than one of the 30 images"),
        (dict(epoch_length=0), "epoch_length of 1 or more"),
    ],
)
def test_what_cannot_be_shared_out(options, message):
    with pytest.raises(DataError, match=message):
        epoch(Mixed(10, 20), **options)


def test_one_data_set():
    with pytest.raises(DataError, match="got a list: for a single data set"):
        WeightedConcatSampler([1, 2], seed=0)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three images and the same ones twice, as one data set."""
    folder = tmp_path_factory.mktemp("images")
    content = coco_content()
    content["images"][1].update(height=80)
    draw(folder / "images", content)
    dataset = dict(
        type="CocoDataset",
        ann_file=write(folder, content),
        data_prefix=dict(img=str(folder / "images")),
        metainfo=dict(classes=CLASSES),
        pipeline=PIPELINE,
    )
    with DefaultScope.overwrite_default_scope("glip"):
        return ConcatDataset([dataset, dict(type="RepeatDataset", times=2, dataset=dataset)])


@pytest.mark.parametrize("workers", [0, 2])
def test_in_the_middle_of_an_epoch(built, workers):
    """As the training loads it: what comes after a restart is what would have come."""

    def batches(number, start, workers):
        with DefaultScope.overwrite_default_scope("glip"):
            loader = Runner.build_dataloader(
                dict(
                    batch_size=2,
                    num_workers=workers,
                    sampler=dict(type="WeightedConcatSampler", weights=[3, 1], epoch_length=8),
                    batch_sampler=dict(type="AspectRatioBatchSampler"),
                    dataset=built,
                ),
                seed=11,
            )
        loader = SeededDataLoader(loader, seed=11, rank=0)
        loader.batch_sampler.seek(number, start)
        return [
            [(sample.img_id, sample.dataset_index) for sample in batch["data_samples"]]
            for batch in loader
        ]

    whole = batches(2, 0, 0)
    assert len(whole) == 4
    assert Counter(part for _, part in chain.from_iterable(whole)) == {0: 6, 1: 2}
    assert batches(2, 2, workers) == whole[2:]
    assert batches(1, 0, workers) != whole
