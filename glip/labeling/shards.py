"""Sharding a labeling run over processes and machines, and merging the shards."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip.labeling.output import ResumableOutput, read_state
from glip.labeling.statistics import Statistics
from glip.utils.errors import ConfigError, LabelingMismatchError

#: Launcher -> its environment variables for rank, world size and local rank.
LAUNCHERS = dict(
    pytorch=("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    slurm=("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    mpi=("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)


@dataclass(frozen=True)
class Shard:
    """One of several parts of a run.

    Attributes:
        index: from 0.
        count: number of shards.
        local_rank: of the shard's process on its machine.
    """

    index: int = 0
    count: int = 1
    local_rank: int = 0

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse ``'0/4'``, the first of four.

        Raises:
            ValueError: the text has another form.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or int(found[1]) >= int(found[2]):
            raise ValueError(
                f"expected a shard such as 0/4, the first of four, or 3/4, the last, got {text!r}"
            )
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_launcher(cls, launcher: str) -> Shard:
        """Return the shard of this process among those that a launcher started.

        Raises:
            ConfigError: the launcher did not start this process.
        """
        try:
            index, count, local_rank = (int(os.environ[name]) for name in LAUNCHERS[launcher])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"the launcher {launcher!r} did not start this process: expected the environment "
                f"variables {', '.join(LAUNCHERS[launcher])}; torchrun sets those of pytorch"
            ) from error
        return cls(index, count, local_rank)

    def path(self, out: str | Path) -> Path:
        """Return the file that this shard of an output is written to."""
        return Path(f"{out}.{self.index}-of-{self.count}")

    def batches(self, num_images: int, batch_size: int) -> list[range]:
        """Return the shard's batches as ranges of image indices.

        The batches do not depend on the number of shards, because the images of a batch change the
        last digits of each other's results. Each shard takes consecutive batches.
        """
        starts = range(0, num_images, batch_size)
        first, last = (len(starts) * at // self.count for at in (self.index, self.index + 1))
        return [range(at, min(at + batch_size, num_images)) for at in starts[first:last]]


def merge_shards(out: ResumableOutput, settings: Mapping[str, Any]) -> None:
    """Merge the finished shards of an output into the file that one process would have written.

    Args:
        out: the output to write, entered.
        settings: of the shards, without ``shard``.

    Raises:
        LabelingMismatchError: shards are missing, unfinished, or of another run.
    """
    count = _count_shards(out.path)
    shards = []
    for index in range(count):
        shard = Shard(index, count)
        path = shard.path(out.path)
        state = read_state(path)
        if state is None or not state["finished"] or not path.is_file():
            done = f"{state['done']} of {state['batches']} batches" if state else "not started"
            raise LabelingMismatchError(
                f"shard {shard} is not finished ({done}): finish it, then merge"
            )
        theirs = {name: value for name, value in state["settings"].items() if name != "shard"}
        if theirs != dict(settings):
            differing = [
                name for name in {**theirs, **settings} if theirs.get(name) != settings.get(name)
            ]
            raise LabelingMismatchError(
                f"shard {shard} was made with other settings: {', '.join(differing)}"
            )
        shards.append((path, state))
    at = 0
    for path, state in shards:
        if at == out.done:
            statistics = Statistics.from_dict(state["statistics"])
            out.append(path, state["batches"], statistics)
        at += state["batches"]
    if out.done != out.num_batches:
        raise LabelingMismatchError(
            f"'{out.path}' is a run of its own in progress ({out.done} of {out.num_batches} "
            "batches): finish it, or delete it and the files whose names begin with "
            f"{out.path.name}, but not the shards"
        )
    out.finish()


def _count_shards(path: Path) -> int:
    """Return the number of shards of an output, from the file names beside it."""
    pattern = re.compile(re.escape(path.name) + r"\.\d+-of-(\d+)(\.state\.json)?")
    found = {
        int(match[1])
        for each in path.parent.glob("*-of-*")
        if (match := pattern.fullmatch(each.name))
    }
    if len(found) != 1:
        what = f"shards of {' and of '.join(map(str, sorted(found)))}" if found else "none"
        raise LabelingMismatchError(
            f"expected one set of shards of '{path}', such as {path.name}.0-of-4 to 3-of-4, got "
            f"{what}"
        )
    return found.pop()
