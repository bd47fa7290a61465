"""Two processes train like one on the same images, without ``find_unused_parameters``.

All images have one size, because padding changes the features.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.utils import digit_version
from torch import nn

from glip.engine import GLIPRunner
from glip.utils.errors import TrainingError
from tests.test_models.test_detectors.test_training import build, make_sample

BOXES = [[10.0, 12.0, 70.0, 80.0], [60.0, 5.0, 120.0, 64.0], [5.0, 30.0, 50.0, 90.0]]

#: Four images: prompts of one to seven words, one without boxes.
SAMPLES = (
    (("cat", "traffic light"), BOXES[:2], [1, 0]),
    (("dog",), [], []),
    (("a", "b", "c", "d", "e", "f", "g"), BOXES, [6, 2, 3]),
    ("a cat and a dog . a hat", BOXES[:1], [0]),
)
#: One process has no boxes.
UNEVEN = (SAMPLES[1], SAMPLES[1], SAMPLES[0], SAMPLES[2])

MODELS = {
    "a": dict(early_fuse=False),
    "b": dict(early_fuse=True),
    "frozen text": dict(early_fuse=True, frozen=True),
}


def make_model(early_fuse: bool, frozen: bool = False) -> nn.Module:
    """Build a model without dropout, whose masks would differ in two processes."""
    model = build(early_fuse)
    if frozen:
        model.language_model.requires_grad_(False)
    return model.eval()


def batch(samples) -> dict:
    generator = torch.Generator().manual_seed(4)
    images = [torch.randint(0, 256, (3, 96, 128), generator=generator) for _ in range(4)]
    return {
        "inputs": [images[SAMPLES.index(each)].byte() for each in samples],
        "data_samples": [make_sample(*each) for each in samples],
    }


def train(model: nn.Module, core: nn.Module, rows: slice = slice(None)) -> dict[str, torch.Tensor]:
    """Train a step on each batch; return the gradients of both and the final weights by name."""
    optim = OptimWrapper(torch.optim.SGD(core.parameters(), lr=1e-3))
    seen: dict[str, torch.Tensor] = {}
    step = optim.optimizer.step
    for number, samples in enumerate((SAMPLES, UNEVEN)):  # the second fails if unused

        def remember(number: int = number) -> None:
            for name, parameter in core.named_parameters():
                if parameter.requires_grad:
                    seen[f"gradient {number} of {name}"] = parameter.grad.clone()
            step()

        optim.optimizer.step = remember
        model.train_step(batch(samples[rows]), optim)
    return seen | {name: each.detach().clone() for name, each in core.named_parameters()}


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for name, options in MODELS.items():
        core = make_model(**options)
        model = MMDistributedDataParallel(core, find_unused_parameters=False)
        torch.save(train(model, core, mine(rank)), folder / f"{name} {rank}.pth")
    dist.destroy_process_group()


def mine(rank: int) -> slice:
    """Return the slice of the images of a rank."""
    return slice(2 * rank, 2 * rank + 2)


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """Return the folder of the results of two processes."""
    folder = tmp_path_factory.mktemp("two")
    mp.spawn(work, args=(folder,), nprocs=2)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not dist.is_available(), reason="torch is built without distributed")
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_the_full_batch(two, name):
    core = make_model(**MODELS[name])
    expected = train(core, core)
    for rank in (0, 1):
        found = torch.load(two / f"{name} {rank}.pth", weights_only=True)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            scale = value.abs().max().clamp(min=1e-4)
            assert (found[key] - value).abs().max() <= 2e-4 * scale, key


def shard(rank: int, folder: Path) -> None:
    from mmengine.model import MMFullyShardedDataParallel
    from torch.distributed.fsdp import FullyShardedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    core = make_model(early_fuse=True)
    total = sum(each.numel() for each in core.parameters())
    model = MMFullyShardedDataParallel(core, device_id=torch.device("cpu"))
    assert sum(each.numel() for each in model.parameters()) < 0.6 * total  # only its shard
    optim = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    for samples in (SAMPLES, UNEVEN):
        model.train_step(batch(samples[mine(rank)]), optim)
    with FullyShardedDataParallel.summon_full_params(model):
        torch.save({k: v.detach().clone() for k, v in core.named_parameters()}, folder / f"{rank}")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version("2.4"),
    reason="this torch cannot shard parameters on a CPU",
)
def test_sharded(tmp_path):
    mp.spawn(shard, args=(tmp_path,), nprocs=2)
    core = make_model(early_fuse=True)
    expected = train(core, core)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}", weights_only=True)
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)


def test_the_runner_refuses_sharded_parameters():
    wrapper = dict(type="MMFullyShardedDataParallel")
    with pytest.raises(TrainingError, match="cannot save or validate a model with sharded"):
        GLIPRunner.wrap_model(None, wrapper, nn.Linear(1, 1))
