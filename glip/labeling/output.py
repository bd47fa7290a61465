"""What a labeling writes, so that a kill at any moment loses no finished block.

Beside the lines of ``labels.jsonl``, which are in ``labels.jsonl.part`` until all are there, lie
``labels.jsonl.left_out.jsonl``, what gave no line and why, and ``labels.jsonl.state.json``: with
which settings, how many blocks are done, how long both files were then, and the counts. The state
is replaced after both files have grown. So when the work goes on after a kill, what stands behind
the lengths it tells, half a line perhaps, is cut off, and that block is done again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.logging import print_log

from glip.datasets.odvg.writing import to_json_line
from glip.labeling.statistics import Tally
from glip.utils.atomic_write import atomic_write, fsync_rename
from glip.utils.errors import LabelingMismatchError

try:
    import fcntl
except ImportError:  # on Windows nothing keeps a second process away
    fcntl = None


class Output:
    """The files of a labeling; to be used with ``with``.

    Args:
        path: of the lines; its folder is made.
        settings: what parts of one labeling have in common, plain values by name.
        num_blocks: how many blocks it has.

    Attributes:
        done: how many blocks are finished.
        tally: of these.
        finished: whether all are, and the lines have their name.

    Raises:
        LabelingMismatchError: there are files already that this labeling cannot go on from (on
            entering).
    """

    def __init__(self, path: str | Path, *, settings: Mapping[str, Any], num_blocks: int):
        self.path = Path(path)
        self.part = _beside(self.path, ".part")
        self.left_out = _beside(self.path, ".left_out.jsonl")
        self.settings = dict(settings)
        self.num_blocks = num_blocks
        self.done = 0
        self.tally = Tally()
        self.finished = False
        self._sizes = [0, 0]
        self._files: list[BinaryIO] = []
        self._stack = ExitStack()

    def __enter__(self) -> Output:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = read_state(self.path)
        if state is None:
            self._refuse_others()
        if state is None or not (state["done"] or state["finished"]):
            self._save()  # whatever lies beside it from now on is ours
        else:
            self._compare(state)
            self.done, self._sizes = state["done"], state["sizes"]
            self.tally = Tally.from_dict(state["tally"])
            self.finished = state["finished"]
        if self.finished:
            self._name()
            return self
        try:
            self._open()
        except LabelingMismatchError:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, lines: Sequence[Mapping], left_out: Sequence[Mapping], tally: Tally) -> None:
        """Write what came of the next block; when this returns, it is safe."""
        for file, content in zip(self._files, (lines, left_out), strict=True):
            file.write(b"".join(map(to_json_line, content)))
        self._grown(1, tally)

    def add_finished(self, other: Path, num_blocks: int, tally: Tally) -> None:
        """Copy what another output wrote of the next blocks."""
        for file, source in zip(
            self._files, (other, _beside(other, ".left_out.jsonl")), strict=True
        ):
            with open(source, "rb") as content:
                shutil.copyfileobj(content, file, 1 << 20)
        self._grown(num_blocks, tally)

    def finish(self) -> None:
        """Give the lines their name."""
        self._stack.close()
        self.finished = True
        self._save()
        self._name()

    def _grown(self, num_blocks: int, tally: Tally) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        self._sizes = [file.tell() for file in self._files]
        self.done += num_blocks
        self.tally.update(tally)
        self._save()

    def _save(self) -> None:
        state = dict(
            settings=self.settings,
            done=self.done,
            blocks=self.num_blocks,
            sizes=self._sizes,
            finished=self.finished,
            tally=self.tally.to_dict(),
        )
        atomic_write(_beside(self.path, ".state.json"), json.dumps(state, indent=1).encode())

    def _open(self) -> None:
        """Open both files, and cut off what a kill left behind the last finished block."""
        for path, size in zip((self.part, self.left_out), self._sizes, strict=True):
            file = path.open("ab")
            self._stack.push(file)
            self._files.append(file)
            self._lock(file)
            present = file.seek(0, os.SEEK_END)
            if present < size:
                raise LabelingMismatchError(
                    f"'{path}' has {present} bytes and had {size} when the work stopped: delete it "
                    f"and the files whose names begin with {self.path.name}, and begin again"
                )
            if present > size:
                message = f"'{path}': cut off {present - size} bytes of an unfinished block"
                print_log(message, logger="current", level=logging.WARNING)
            file.truncate(size)
            file.seek(size)

    def _lock(self, file: BinaryIO) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LabelingMismatchError(
                f"another process is writing '{self.path}': wait for it, or give each its own "
                "--shard or, where a launcher started them, --launcher"
            ) from error

    def _name(self) -> None:
        """Rename the finished lines, if that was not done before."""
        if self.part.is_file():
            os.truncate(self.part, self._sizes[0])
            fsync_rename(self.part, self.path)
        elif not self.path.is_file():
            raise LabelingMismatchError(
                f"'{self.path}' was finished and is gone: bring it back, or delete "
                f"'{_beside(self.path, '.state.json')}' to begin again"
            )

    def _refuse_others(self) -> None:
        for each in (self.path, self.part, self.left_out):
            if each.exists():
                raise LabelingMismatchError(
                    f"'{each}' exists already, and nothing tells what it was made with: name "
                    "another output, or delete it"
                )

    def _compare(self, state: Mapping[str, Any]) -> None:
        before = state["settings"] | {"number of blocks": state["blocks"]}
        now = self.settings | {"number of blocks": self.num_blocks}
        differing = [
            f"{name} ({str(before.get(name))[:40]} then, {str(now.get(name))[:40]} now)"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        ]
        if differing:
            raise LabelingMismatchError(
                f"'{self.path}' was begun otherwise: {'; '.join(differing)}. Start it as it was "
                "begun, name another output, or delete it and the files whose names begin like it"
            )


def read_state(path: Path) -> dict[str, Any] | None:
    """Read how far the labeling of an output is; ``None`` if none was begun.

    Raises:
        LabelingMismatchError: the file of its state is something else.
    """
    file = _beside(path, ".state.json")
    if not file.is_file():
        return None
    try:
        state = json.loads(file.read_text())
        Tally.from_dict(state["tally"])
        # What is needed later, asked for now.
        state["settings"], state["done"], state["blocks"], state["sizes"], state["finished"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelingMismatchError(
            f"'{file}' is not the state of a labeling: name another output, or delete it and the "
            "files whose names begin like it"
        ) from error
    return state


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
