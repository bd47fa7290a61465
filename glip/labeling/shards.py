"""Sharding a labeling run over processes and machines."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from glip.utils.errors import ConfigError

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
        if not 0 <= index < count:
            names = LAUNCHERS[launcher]
            raise ConfigError(
                f"expected {names[0]} from 0 to {names[1]} - 1, got {index} of {count} processes"
            )
        return cls(index, count, local_rank)

    @classmethod
    def of_torchrun(cls) -> Shard:
        """Return the shard of a process of torchrun; the only one of another process."""
        if all(os.environ.get(name, "").isdecimal() for name in LAUNCHERS["pytorch"]):
            return cls.of_launcher("pytorch")
        return cls()

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

    def progress_bar(self, batches: Sequence[range], done: int) -> tqdm:
        """Return a progress bar of images; only the first process of a machine shows it.

        Args:
            batches: all batches of the shard.
            done: number of batches that an earlier run finished.
        """
        return tqdm(
            desc="Labeling",
            unit="image",
            initial=sum(map(len, batches[:done])),
            total=sum(map(len, batches)),
            disable=self.local_rank > 0,
            dynamic_ncols=True,
        )
