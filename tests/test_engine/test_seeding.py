"""What is drawn follows from the seed and the position, whatever happens around it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from glip.engine.seeding import SeededLoader, derive_seed, fork_rng, set_seed
from glip.utils.errors import ImageReadError, TrainingError
from tests.training import training_config


def drawn() -> tuple[float, float, float]:
    """A number of every generator."""
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


class Draws(Dataset):
    """Gives an index with a number of every generator."""

    def __init__(self, size: int = 7):
        self.size = size
        self.metainfo = dict(classes=("a",))

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, *drawn()


def loader(kind=DefaultSampler, *, batch_size=2, size=7, workers=0, seed=5, rank=0, **options):
    dataset = Draws(size)
    plain = DataLoader(
        dataset,
        batch_size,
        sampler=kind(dataset, seed=1),
        collate_fn=list,
        num_workers=workers,
        **options,
    )
    return SeededLoader(plain, seed=seed, rank=rank)


def batches(of, epoch=0, start=0, count=None):
    of.draws.epoch, of.draws.start = epoch, start
    taken = iter(of)
    return list(taken) if count is None else [next(taken) for _ in range(count)]


def test_same_batches_whoever_loads_them():
    expected = batches(loader())
    set_seed(9)
    assert batches(loader()) == expected
    parallel = loader(workers=2, persistent_workers=True)
    assert batches(parallel) == expected
    # The same workers again, for another epoch and from its middle.
    assert batches(parallel, epoch=1) == batches(loader(), epoch=1) != expected
    assert batches(parallel, epoch=1, start=2) == batches(loader(), epoch=1)[2:]


@pytest.mark.parametrize("change", [dict(seed=6), dict(rank=1)])
def test_other_seed_or_process_draws_others(change):
    pairs = zip(batches(loader()), batches(loader(**change)), strict=True)
    for first, second in pairs:
        for (index, *mine), (same_index, *other) in zip(first, second, strict=True):
            assert index == same_index
            assert not set(mine) & set(other)


def test_the_same_image_is_drawn_anew_each_time():
    of = loader(size=2, batch_size=1)
    seen = [batch[0][1:] for epoch in range(4) for batch in batches(of, epoch)]
    assert len(set(seen)) == 8


@pytest.mark.parametrize("kind", [DefaultSampler, InfiniteSampler])
def test_endless(kind):
    def take(start, count):
        of = loader(kind)
        of.draws.infinite = True
        return batches(of, start=start, count=count)

    whole = take(0, 12)  # with a sampler that ends, three passes
    assert take(5, 7) == whole[5:]
    assert take(8, 4) == whole[8:]
    assert [len(batch) for batch in whole[:4]] == (
        [2, 2, 2, 1] if kind is DefaultSampler else [2] * 4
    )


def test_whole_passes_are_not_gone_through_to_skip_them(monkeypatch):
    """A training over days that goes on need not look at what it has seen."""
    of = loader()
    of.draws.infinite = True
    epochs = []
    monkeypatch.setattr(of.sampler, "set_epoch", epochs.append)
    batches(of, epoch=1, start=4 * 7 + 1, count=1)
    assert epochs == [8]


def test_nothing_is_loaded_before_it_is_asked_for():
    of = loader(workers=1)
    iter(of)
    assert of._loader._iterator is None


def test_generators_are_left_as_they_were():
    set_seed(3)
    expected = drawn()
    set_seed(3)
    with fork_rng(8):
        inside = drawn()
    assert drawn() == expected != inside
    with fork_rng(8):
        assert drawn() == inside


def test_mix():
    assert derive_seed(1, 2, 3) == derive_seed(1, 2, 3)
    assert len({derive_seed(a, b) for a in range(20) for b in range(20)}) == 400


def test_it_stands_in_for_the_loader():
    of = loader(batch_size=3)
    assert (of.batch_size, len(of), of.num_workers) == (3, 3, 0)
    assert of.dataset.metainfo == dict(classes=("a",))
    assert len(of.dataset) == 7
    assert isinstance(of.sampler, DefaultSampler)
    with pytest.raises(AttributeError, match="no_such_thing"):
        of.dataset.no_such_thing  # noqa: B018


def test_no_batch():
    with pytest.raises(TrainingError, match="do not fill one batch"):
        loader(batch_size=8, drop_last=True)


def training_loader(pictures, tmp_path, workers=0, **options):
    cfg = training_config(pictures, tmp_path, **options)
    cfg.train_dataloader.num_workers = workers
    with DefaultScope.overwrite_default_scope("glip"):
        return SeededLoader(Runner.build_dataloader(cfg.train_dataloader, seed=1), seed=1, rank=0)


def contents(of):
    """File name, pixels' checksum and boxes of every image."""
    return [
        (sample.img_path, int(image.sum()), sample.flip, sample.gt_instances.bboxes.tolist())
        for batch in of
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True)
    ]


def break_images(pictures, tmp_path, count):
    """A copy of the examples in which some images are missing."""
    copy = tmp_path / "copy"
    for path in (pictures / "coco").rglob("*"):
        target = copy / path.relative_to(pictures)
        if path.is_file() and "2017" in str(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    for path in sorted((copy / "coco/val2017").iterdir())[:count]:
        path.unlink()
    return copy


def test_another_image_in_place_of_a_broken_one(pictures, tmp_path):
    """It is the same one in every run, whoever loads it and from wherever the epoch goes on."""
    broken = break_images(pictures, tmp_path, 2)
    whole = contents(training_loader(broken, tmp_path))
    assert len(whole) == 9
    assert len({path for path, *_ in whole}) <= 7
    assert contents(training_loader(broken, tmp_path, workers=2)) == whole
    later = training_loader(broken, tmp_path)
    later.draws.start = 2
    assert contents(later) == whole[4:]


def test_too_many_broken_images(pictures, tmp_path):
    broken = break_images(pictures, tmp_path, 6)
    with pytest.raises(ImageReadError, match=r"6 of 9 images .* do not exist"):
        contents(training_loader(broken, tmp_path, workers=1))
