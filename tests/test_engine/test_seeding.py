"""Random augmentation is a deterministic function of the seed and the position."""

from __future__ import annotations

import os
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import DistSamplerSeedHook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from glip.engine.seeding import SeededDataLoader, derive_seed, fork_rng, set_seed
from glip.utils.errors import ImageReadError, TrainingError
from tests.training import training_config


def sample_rngs() -> tuple[float, float, float]:
    """Return a random number of each RNG."""
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002


class RandomDataset(Dataset):
    """Returns the index with a random number of each RNG."""

    def __init__(self, size: int = 7):
        self.size = size
        self.metainfo = dict(classes=("a",))

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, *sample_rngs()


def loader(
    kind=DefaultSampler,
    *,
    batch_size=2,
    size=7,
    workers=0,
    seed=5,
    rank=0,
    infinite=False,
    **options,
):
    dataset = RandomDataset(size)
    plain = DataLoader(
        dataset,
        batch_size,
        sampler=kind(dataset, seed=1),
        collate_fn=list,
        num_workers=workers,
        **options,
    )
    return SeededDataLoader(plain, seed=seed, rank=rank, infinite=infinite)


def batches(of, epoch=0, start=0, count=None):
    of.batch_sampler.seek(epoch, start)
    taken = iter(of)
    return list(taken) if count is None else [next(taken) for _ in range(count)]


def test_same_batches_with_any_number_of_workers():
    expected = batches(loader())
    set_seed(9)
    assert batches(loader()) == expected
    parallel = loader(workers=2, persistent_workers=True)
    assert batches(parallel) == expected
    # Persistent workers, in another epoch and from the middle of it.
    assert batches(parallel, epoch=1) == batches(loader(), epoch=1) != expected
    assert batches(parallel, epoch=1, start=2) == batches(loader(), epoch=1)[2:]


@pytest.mark.parametrize("change", [dict(seed=6), dict(rank=1)])
def test_seed_and_rank_change_the_augmentation(change):
    pairs = zip(batches(loader()), batches(loader(**change)), strict=True)
    for first, second in pairs:
        for (index, *mine), (same_index, *other) in zip(first, second, strict=True):
            assert index == same_index
            assert not set(mine) & set(other)


def test_augmentation_of_an_image_differs_between_epochs():
    of = loader(size=2, batch_size=1)
    seen = [batch[0][1:] for epoch in range(4) for batch in batches(of, epoch)]
    assert len(set(seen)) == 8


@pytest.mark.parametrize("kind", [DefaultSampler, InfiniteSampler])
def test_infinite(kind):
    def take(start, count):
        return batches(loader(kind, infinite=True), start=start, count=count)

    full = take(0, 12)  # three passes of a finite sampler
    assert take(5, 7) == full[5:]
    assert take(8, 4) == full[8:]
    assert [len(batch) for batch in full[:4]] == (
        [2, 2, 2, 1] if kind is DefaultSampler else [2] * 4
    )


def test_entire_epochs_are_skipped_without_iterating(monkeypatch):
    """A resumed training does not iterate over the epochs that are finished."""
    of = loader(infinite=True)
    epochs = []
    monkeypatch.setattr(of.batch_sampler.sampler, "set_epoch", epochs.append)
    batches(of, epoch=1, start=4 * 7 + 1, count=1)
    assert epochs == [8]


def test_workers_start_at_the_first_batch():
    of = loader(workers=1, persistent_workers=True)
    batches = iter(of)
    assert of._iterator is None
    next(batches)
    assert of._iterator is not None


def test_fork_rng_restores_the_states():
    set_seed(3)
    expected = sample_rngs()
    set_seed(3)
    with fork_rng(8):
        inside = sample_rngs()
    assert sample_rngs() == expected != inside
    with fork_rng(8):
        assert sample_rngs() == inside


def test_derive_seed():
    assert derive_seed(1, 2, 3) == derive_seed(1, 2, 3)
    assert len({derive_seed(a, b) for a in range(20) for b in range(20)}) == 400


def test_hooks_of_mmengine_find_what_they_read():
    of = loader(batch_size=3)
    assert isinstance(of, DataLoader)
    assert (of.batch_sampler.batch_size, len(of), of.num_workers) == (3, 3, 0)
    assert of.dataset.metainfo == dict(classes=("a",))
    assert len(of.dataset) == 7
    assert isinstance(of.batch_sampler.sampler, DefaultSampler)
    runner = SimpleNamespace(train_loop=SimpleNamespace(dataloader=of), epoch=3)
    DistSamplerSeedHook().before_train_epoch(runner)
    assert of.batch_sampler.sampler.epoch == 3


def test_dataset_without_metainfo():
    of = SeededDataLoader(DataLoader([1, 2]), seed=0, rank=0)
    assert not hasattr(of.dataset, "metainfo")


def test_no_batch():
    with pytest.raises(TrainingError, match="do not fill one batch"):
        loader(batch_size=8, drop_last=True)


def training_loader(examples, tmp_path, workers=0, **options):
    cfg = training_config(examples, tmp_path, **options)
    cfg.train_dataloader.num_workers = workers
    with DefaultScope.overwrite_default_scope("glip"):
        return SeededDataLoader(
            Runner.build_dataloader(cfg.train_dataloader, seed=1), seed=1, rank=0
        )


def contents(of):
    """Return path, checksum of the pixels, flip and boxes of each image."""
    return [
        (sample.img_path, int(image.sum()), sample.flip, sample.gt_instances.bboxes.tolist())
        for batch in of
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True)
    ]


def break_images(examples, tmp_path, count):
    """Copy the examples without some images."""
    copy = tmp_path / "copy"
    for path in (examples / "coco").rglob("*"):
        target = copy / path.relative_to(examples)
        if path.is_file() and "2017" in str(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
    for path in sorted((copy / "coco/val2017").iterdir())[:count]:
        path.unlink()
    return copy


def test_replacement_of_a_broken_image(examples, tmp_path):
    """It is the same image with any number of workers and after resuming."""
    broken = break_images(examples, tmp_path, 2)
    full = contents(training_loader(broken, tmp_path))
    assert len(full) == 9
    assert len({path for path, *_ in full}) <= 7
    assert contents(training_loader(broken, tmp_path, workers=2)) == full
    later = training_loader(broken, tmp_path)
    later.batch_sampler.seek(batch=2)
    assert contents(later) == full[4:]


def test_too_many_broken_images(examples, tmp_path):
    broken = break_images(examples, tmp_path, 6)
    with pytest.raises(ImageReadError, match=r"6 of 9 images .* do not exist"):
        contents(training_loader(broken, tmp_path, workers=1))


class Ending(RandomDataset):
    """Ends its worker process, or keeps it busy."""

    def __getitem__(self, index):
        os._exit(1)


def test_worker_that_has_ended():
    plain = DataLoader(Ending(), num_workers=1)
    seeded = SeededDataLoader(plain, seed=0, rank=0)
    with pytest.raises(TrainingError, match=r"the 1 worker processes .* exited unexpectedly"):
        batches(seeded)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("can't start new thread"), OSError("[Errno 24] Too many open files")],
)
def test_workers_that_cannot_start(monkeypatch, error):
    def start(self):
        raise error

    monkeypatch.setattr(DataLoader, "__iter__", start)
    with pytest.raises(TrainingError, match=r"lower train_dataloader\.num_workers"):
        batches(loader(workers=2))


def test_too_many_images():
    with pytest.raises(TrainingError, match="an epoch has 10,000,000,000 images"):
        loader(size=10**10)
