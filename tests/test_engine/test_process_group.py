"""A restarted process does not read what the processes before the restart wrote."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import torch.distributed as dist

from glip.engine.process_group import torchrun_group


@pytest.fixture(autouse=True)
def agent(monkeypatch) -> Iterator[None]:
    """What torchrun gives a process: the address of its store and the number of restarts."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in dict(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=store.port,
        RANK=0,
        WORLD_SIZE=1,
        TORCHELASTIC_USE_AGENT_STORE=True,
        TORCHELASTIC_RESTART_COUNT=0,
    ).items():
        monkeypatch.setenv(name, str(value))
    yield
    del store


def test_each_restart_has_its_own_keys(monkeypatch):
    first = torchrun_group(timedelta(seconds=20))["store"]
    first.set("address", "of a process that is killed")

    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    second = torchrun_group(timedelta(seconds=20))["store"]
    second.set_timeout(timedelta(milliseconds=10))
    with pytest.raises(RuntimeError):
        second.get("address")


def test_torch_takes_the_store():
    dist.init_process_group("gloo", **torchrun_group(timedelta(seconds=20)))
    try:
        assert (dist.get_rank(), dist.get_world_size()) == (0, 1)
    finally:
        dist.destroy_process_group()
