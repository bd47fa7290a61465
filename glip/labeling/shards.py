"""Dividing the work among processes and machines, and joining what they wrote."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glip.labeling.output import Output, read_state
from glip.labeling.statistics import Tally
from glip.utils.errors import ConfigError, LabelingMismatchError

#: Who starts processes -> the variables with a process's number, how many there are, and its number
#: on its machine.
LAUNCHERS = dict(
    pytorch=("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    slurm=("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
    mpi=("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
)


@dataclass(frozen=True)
class Shard:
    """One of several parts of the work.

    Attributes:
        index: from 0.
        count: how many there are.
        local: the number of its process on its machine.
    """

    index: int = 0
    count: int = 1
    local: int = 0

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``'0/4'``, the first of four.

        Raises:
            ValueError: it is no such text.
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
            ConfigError: this process was not started so.
        """
        try:
            index, count, local = (int(os.environ[name]) for name in LAUNCHERS[launcher])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"the process was not started by the launcher {launcher!r}: expected the variables "
                f"{', '.join(LAUNCHERS[launcher])}; torchrun sets pytorch's"
            ) from error
        return cls(index, count, local)

    def path(self, out: str | Path) -> Path:
        """Return where the shard of an output is written."""
        return Path(f"{out}.{self.index}-of-{self.count}")

    def blocks(self, num_pictures: int, size: int) -> list[range]:
        """Return the shard's blocks, positions of ``size`` pictures each; shards follow each other.

        Blocks are the same for any number of shards: pictures that go through the model together
        change the last digits of each other.
        """
        starts = range(0, num_pictures, size)
        first, last = (len(starts) * at // self.count for at in (self.index, self.index + 1))
        return [range(at, min(at + size, num_pictures)) for at in starts[first:last]]


def join_shards(out: Output, settings: Mapping[str, Any]) -> None:
    """Join the finished shards of an output: the file that one process would have written.

    Args:
        out: what to write; entered, and not begun otherwise.
        settings: of the shards, all but ``shard``.

    Raises:
        LabelingMismatchError: shards are missing, unfinished, or of another labeling.
    """
    count = _count_shards(out.path)
    parts = []
    for index in range(count):
        shard = Shard(index, count)
        path = shard.path(out.path)
        state = read_state(path)
        if state is None or not state["finished"] or not path.is_file():
            how_far = f"{state['done']} of {state['blocks']} blocks" if state else "not begun"
            raise LabelingMismatchError(
                f"shard {shard} is not finished ({how_far}): run it to its end, then join"
            )
        theirs = {name: value for name, value in state["settings"].items() if name != "shard"}
        if theirs != dict(settings):
            differing = [
                name for name in {**theirs, **settings} if theirs.get(name) != settings.get(name)
            ]
            raise LabelingMismatchError(
                f"shard {shard} was made otherwise than this command says: {', '.join(differing)}"
            )
        parts.append((path, state))
    at = 0
    for path, state in parts:
        if at == out.done:
            out.add_finished(path, state["blocks"], Tally.from_dict(state["tally"]))
        at += state["blocks"]
    if out.done != out.num_blocks:
        raise LabelingMismatchError(
            f"'{out.path}' is a labeling of its own in progress ({out.done} of {out.num_blocks} "
            "blocks): finish it, or delete it and the files whose names begin like it, not the "
            "shards"
        )
    out.finish()


def _count_shards(path: Path) -> int:
    """Find out from the names beside an output how many shards it has."""
    pattern = re.compile(re.escape(path.name) + r"\.\d+-of-(\d+)(\.state\.json)?")
    found = {
        int(match[1])
        for each in path.parent.glob("*-of-*")
        if (match := pattern.fullmatch(each.name))
    }
    if len(found) != 1:
        what = f"of {' and of '.join(map(str, sorted(found)))}" if found else "none"
        raise LabelingMismatchError(
            f"expected shards of '{path}' of one number, such as {path.name}.0-of-4, found {what}"
        )
    return found.pop()
