"""Label the shards of a run on a Ray cluster.

Each worker is a Ray actor that holds the model and labels one shard after the other. The shard of a
worker that dies is resumed by another one. All processes need the images and the output at the same
paths: on several machines, a shared file system or URLs for the images.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

from mmengine.logging import print_log
from tqdm import tqdm

from glip.labeling.merging import count_shards
from glip.labeling.output import read_state
from glip.labeling.shards import Shard
from glip.utils.errors import (
    ConfigError,
    DependencyError,
    GLIPError,
    LabelingMismatchError,
    OutputInUseError,
)

#: Shards per worker: a worker that is done early takes another one.
SHARDS_PER_WORKER = 4
#: Times that a shard is started before its failures end the run: an image that kills each process
#: that reads it must not do so for ever.
MAX_STARTS = 4
#: Seconds to wait for a cluster, and for the lock of a process that is being killed.
TIMEOUT = 30.0
_POLL = 0.5  # seconds between two updates of the progress


class ShardedRun(Protocol):
    """A :class:`~glip.labeling.folder.FolderRun` or a ``CaptionRun``."""

    @property
    def batch_size(self) -> int:
        """Images per batch."""
        ...

    @property
    def path(self) -> Path:
        """The file whose shards are labeled."""
        ...

    @property
    def overwrite(self) -> bool:
        """Whether the output of another run is replaced."""
        ...

    @property
    def num_images(self) -> int:
        """Number of images."""
        ...

    @property
    def settings(self) -> dict[str, Any]:
        """What a resumed run must not change."""
        ...

    def build(self, device: str) -> Any:
        """Build what labels."""
        ...

    def label_shard(self, part: Shard, labeler: Any) -> None:
        """Label a shard, or resume it."""
        ...


def import_ray() -> ModuleType:
    """Return the module ray.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise DependencyError(f"--ray needs Ray: pip install 'glip[ray]' ({error})") from None
    return ray


def check_address(address: str) -> None:
    """Check that a cluster answers, before the slow work.

    Args:
        address: ``HOST:PORT``, ``ray://HOST:PORT``, or ``auto``, which is left to Ray.

    Raises:
        ConfigError: it is no address, or nothing answers.
    """
    if address == "auto":
        return
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ConfigError(f"expected --ray as HOST:PORT, ray://HOST:PORT or auto, got {address!r}")
    try:
        socket.create_connection((host, port), timeout=TIMEOUT).close()
    except OSError as error:
        raise ConfigError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head`, or "
            "pass --ray alone for this machine"
        ) from None


def label_with_ray(
    run: ShardedRun, *, address: str = "", num_workers: int | None = None, device: str | None = None
) -> None:
    """Label all shards of a run; merge them afterwards.

    Args:
        run: what to do, with absolute paths.
        address: of a cluster, see :func:`check_address`; empty for this machine.
        num_workers: actors that label; by default one per GPU of the cluster, without GPUs one
            per two CPU cores.
        device: where the model runs; by default a GPU per worker if there are any.

    Raises:
        DependencyError: ray is not installed.
        ConfigError: no cluster answers.
        LabelingMismatchError: the output is of another run, or of one without shards.
        GLIPError: a worker raised it, or a shard failed :data:`MAX_STARTS` times.
    """
    if _is_merged(run):
        return
    ray = import_ray()
    is_own = not ray.is_initialized()
    if is_own:
        _connect(ray, address)
    try:
        resources = ray.cluster_resources()
        gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        workers = num_workers or gpus or max(cpus // 2, 1)
        num_batches = -(-run.num_images // run.batch_size)
        count = count_shards(run.path) or min(SHARDS_PER_WORKER * workers, num_batches)
        shards = [Shard(index, count) for index in range(count)]
        needs = dict(
            num_gpus=min(gpus / workers, 1.0) if device is None else 0,
            num_cpus=max(cpus // workers, 1) if not gpus else 1,
        )
        _label(ray, run, shards, min(workers, count), needs, device)
    finally:
        if is_own:
            ray.shutdown()


def _is_merged(run: ShardedRun) -> bool:
    """Return whether the output is finished.

    Raises:
        LabelingMismatchError: it cannot be merged from shards.
    """
    state = read_state(run.path)
    if state is None or not (state["done"] or state["finished"]):
        return False
    if state["settings"] == run.settings:
        if state["finished"]:
            return True
        problem = f"is a run without shards in progress ({state['done']} of {state['batches']}"
        problem += " batches): finish it without --ray"
    elif run.overwrite:
        return False
    else:
        problem = "is of a run with other settings: use those"
    raise LabelingMismatchError(f"'{run.path}' {problem}, or choose another output")


def _connect(ray: ModuleType, address: str) -> None:
    if address:
        check_address(address)
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="error")
    except Exception as error:  # Ray raises many kinds
        raise ConfigError(
            f"cannot connect to the Ray cluster at {address or 'this machine'} ({error})"
        ) from None


def _label(
    ray: ModuleType,
    run: ShardedRun,
    shards: Iterable[Shard],
    workers: int,
    needs: dict[str, float],
    device: str | None,
) -> None:
    """Give the unfinished shards to workers until all are finished."""
    batches = {shard: shard.batches(run.num_images, run.batch_size) for shard in shards}
    waiting = deque(shard for shard in batches if not _is_finished(run, shard))
    actor_class = ray.remote(**needs)(_Worker)
    stored = ray.put(run)

    def start() -> Any:
        return actor_class.remote(stored, device)

    idle = deque(start() for _ in range(min(workers, len(waiting))))
    running: dict[Any, tuple[Any, Shard]] = {}
    starts: Counter[Shard] = Counter()
    with tqdm(total=run.num_images, desc="Labeling", unit="image", dynamic_ncols=True) as bar:
        try:
            while waiting or running:
                while waiting and idle:
                    shard, actor = waiting.popleft(), idle.popleft()
                    starts[shard] += 1
                    running[actor.label.remote(shard)] = actor, shard
                ended, _ = ray.wait(list(running), timeout=_POLL)
                bar.n = sum(_num_done(run, shard, own) for shard, own in batches.items())
                bar.refresh()
                for reference in ended:
                    actor, shard = running.pop(reference)
                    if _ended_well(ray, reference, shard, starts[shard]):
                        idle.append(actor)
                    else:
                        waiting.appendleft(shard)
                        idle.append(start())
        finally:
            for actor in (*idle, *(actor for actor, _ in running.values())):
                ray.kill(actor)


def _ended_well(ray: ModuleType, reference: Any, shard: Shard, starts: int) -> bool:
    """Return whether a shard is finished, rather than its worker dead.

    Raises:
        GLIPError: the worker raised it, or the shard was started too often.
    """
    try:
        ray.get(reference)
        return True
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, GLIPError) else error from None
    except ray.exceptions.RayError as error:  # the process or its machine is gone
        reason = str(error).strip().partition("\n")[0]
        if starts >= MAX_STARTS:
            raise GLIPError(
                f"shard {shard} was started {starts} times and its worker died each time "
                f"({reason}): label it alone, with --shard {shard}, to see why"
            ) from None
        message = f"the worker of shard {shard} died; the shard is resumed ({reason})"
        print_log(message, "current", logging.WARNING)
        return False


class _Worker:
    """An actor: it builds the model once and labels shards with it."""

    def __init__(self, run: ShardedRun, device: str | None) -> None:
        self._run = run
        self._device = device
        self._labeler: Any = None

    def label(self, shard: Shard) -> None:
        """Label a shard."""
        if self._labeler is None:
            self._labeler = self._run.build(self._device or _device_of_worker())
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                # Another local rank than 0 shows no progress bar.
                own = Shard(shard.index, shard.count, local_rank=1)
                return self._run.label_shard(own, self._labeler)
            except OutputInUseError:  # of a process that is being killed
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL)


def _device_of_worker() -> str:
    """Return the GPU that Ray gave to this process, as the only one it sees, or the CPU."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def _is_finished(run: ShardedRun, shard: Shard) -> bool:
    state = read_state(shard.path(run.path))
    return bool(state and state["finished"])


def _num_done(run: ShardedRun, shard: Shard, batches: list[range]) -> int:
    """Return the number of images of the finished batches."""
    state = read_state(shard.path(run.path))
    return sum(map(len, batches[: state["done"]])) if state else 0
