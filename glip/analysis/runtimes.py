"""Compare a model in torch with its exported forms: time, start, memory, and size on disk.

Each runs in a process of its own, so that memory and start are its own; their runs take turns, so
that other work on the machine slows all of them alike.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from glip.runtime.manifest import is_exported, read_manifest
from glip.utils.errors import GLIPError
from glip.weights import find_weights_file


@dataclass(frozen=True)
class Task:
    """What every model does.

    Attributes:
        image: a file.
        texts: the prompt.
        threads: number of threads.
        cfg_options: config values of the models in torch.
    """

    image: str
    texts: str
    threads: int
    cfg_options: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """The measurements of a model.

    Attributes:
        runtime: ``'torch'``, or the format and the precision of an exported model.
        start: seconds from the start of the process until the model is ready, the median.
        first: seconds of the first image, the median.
        seconds: of an image after it, the median.
        fastest: the same, the least.
        cpu: CPU time of an image in seconds, of all threads, the median; on a busy machine it says
            more than the wall time.
        memory_gib: peak memory of the process.
        disk_mb: size of the checkpoint or folder.
        detections: number found.
    """

    runtime: str
    start: float
    first: float
    seconds: float
    fastest: float
    cpu: float
    memory_gib: float
    disk_mb: float
    detections: int


def compare_runtimes(
    weights: Sequence[str], task: Task, *, starts: int, repeat: int
) -> list[Measured]:
    """Measure checkpoints and exported models on the same image and prompt.

    Args:
        weights: checkpoints as ``--weights`` takes them, and folders of ``glip export``.
        task: what they do.
        starts: processes started of each, in turns.
        repeat: images after the first one, in turns.

    Raises:
        GLIPError: a model cannot be loaded, or the image cannot be read.
    """
    named = [(_name(each), _size(each) / 1e6) for each in weights]  # missing ones are reported
    starting: list[list[float]] = [[] for _ in weights]
    first: list[list[float]] = [[] for _ in weights]
    runs: list[list[float]] = [[] for _ in weights]
    cpu: list[list[float]] = [[] for _ in weights]
    with ExitStack() as stack:
        for turn in range(starts):
            workers = []
            for index, each in enumerate(weights):
                worker = stack.enter_context(_Worker(each, task))
                starting[index].append(worker.start_seconds)
                first[index].append(worker.detect()[0])
                workers.append(worker)
                if turn + 1 < starts:
                    worker.close()
        for _ in range(repeat):
            for index, worker in enumerate(workers):
                seconds, of_cpu, _ = worker.detect()
                runs[index].append(seconds)
                cpu[index].append(of_cpu)
        return [
            Measured(
                runtime=named[index][0],
                start=statistics.median(starting[index]),
                first=statistics.median(first[index]),
                seconds=statistics.median(runs[index]),
                fastest=min(runs[index]),
                cpu=statistics.median(cpu[index]),
                memory_gib=workers[index].ask("memory"),
                disk_mb=named[index][1],
                detections=workers[index].detect()[2],
            )
            for index in range(len(weights))
        ]


class _Worker:
    """A process that holds a model, and detects when it is told to.

    Attributes:
        start_seconds: from the start of the process until the model was ready.
    """

    def __init__(self, weights: str, task: Task):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, weights, task), daemon=True)
        begin = time.perf_counter()
        self._process.start()
        other.close()
        self._receive()
        self.start_seconds = time.perf_counter() - begin

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def detect(self) -> tuple[float, float, int]:
        """Detect in the image; return wall time, CPU time and the number of detections."""
        return self.ask("detect")

    def ask(self, what: str) -> Any:
        """Return the answer of the process."""
        self._connection.send(what)
        return self._receive()

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            raise GLIPError(
                f"a process that detects ended with code {self._process.exitcode}: see its message "
                "above"
            ) from None
        if isinstance(answer, GLIPError):
            raise answer
        return answer


def _serve(connection: Connection, weights: str, task: Task) -> None:
    """Load a model and answer; runs in a process of its own."""
    try:
        inferencer = _load(weights, task)
        connection.send("ready")
        while True:
            if connection.recv() == "memory":
                connection.send(_peak_memory())
                continue
            begin, cpu = time.perf_counter(), time.process_time()
            (found,) = inferencer(task.image, texts=task.texts)["predictions"]
            seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
            connection.send((seconds, cpu, len(found["labels"])))
    except GLIPError as error:
        connection.send(error)
    except EOFError:  # the other process has closed
        pass


def _load(weights: str, task: Task) -> Any:
    if is_exported(weights):
        from glip.runtime import DetInferencer

        return DetInferencer(weights, threads=task.threads)
    import torch

    from glip.apis import DetInferencer as TorchInferencer

    torch.set_num_threads(task.threads)
    return TorchInferencer(
        weights=weights, device="cpu", show_progress=False, cfg_options=task.cfg_options
    )


def _peak_memory() -> float:
    """Return the peak of this process's resident set in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def _name(weights: str) -> str:
    if not is_exported(weights):
        return "torch"
    manifest = read_manifest(weights)
    static = "" if manifest.static is None else " {}x{}".format(*manifest.static)
    return f"{manifest.format} {manifest.precision}{static}"


def _size(weights: str) -> int:
    if is_exported(weights):
        return sum(path.stat().st_size for path in Path(weights).iterdir())
    return find_weights_file(weights).stat().st_size
