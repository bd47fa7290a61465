"""The resumable output of a labeling run: a kill at any moment loses no finished batch.

Records are written to ``labels.jsonl.part``, which is renamed to ``labels.jsonl`` when it is
complete. Beside it are ``labels.jsonl.left_out.jsonl``, what gave no record and why, and
``labels.jsonl.state.json``: the settings, the number of finished batches, the sizes of both files
and the statistics. The state is replaced atomically after both files have grown. On resuming, both
files are truncated to the sizes in the state, and the batch that was interrupted is labeled again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.logging import print_log

from glip.datasets.odvg.writing import to_json_line
from glip.engine.digests import file_digest
from glip.labeling.statistics import Statistics
from glip.utils.atomic_write import atomic_write, describe_write_errors, fsync_rename
from glip.utils.errors import LabelingMismatchError, OutputInUseError
from glip.utils.options import check_bool, check_int, check_mapping

try:
    import fcntl
except ImportError:  # Windows: a second process on the same output is not detected
    fcntl = None  # type: ignore[assignment]

_ADVICE = "The finished batches are kept: the same command continues with the next one"
#: Descriptors of the locks that this process holds.
_LOCKS: set[int] = set()


def _release(lock: int) -> None:
    _LOCKS.discard(lock)
    os.close(lock)


def _close_locks() -> None:
    for lock in _LOCKS:
        os.close(lock)
    _LOCKS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_locks)


class ResumableOutput:
    """The files of a labeling run; use it with ``with``.

    Args:
        path: JSON lines file of the records; its folder is created.
        settings: JSON values by name that must be equal when the run is resumed.
        num_batches: number of batches of the run.

    Attributes:
        done: number of finished batches.
        statistics: of the finished batches.
        finished: whether all batches are finished and the file has its final name.

    Raises:
        LabelingMismatchError: the existing files belong to another run (on entering).
    """

    def __init__(self, path: str | Path, *, settings: Mapping[str, Any], num_batches: int) -> None:
        self.path = Path(path)
        self.part = _beside(self.path, ".part")
        self.excluded = _beside(self.path, ".left_out.jsonl")
        self.settings = dict(settings)
        self.num_batches = num_batches
        self.done = 0
        self.statistics = Statistics()
        self.finished = False
        self._sizes = [0, 0]
        self._digests: list[str] | None = None
        self._files: list[BinaryIO] = []
        self._stack = ExitStack()

    def __enter__(self) -> ResumableOutput:
        with describe_write_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        state = read_state(self.path)
        if state is None:
            self._check_no_other_files()
        if state is None or not (state["done"] or state["finished"]):
            self._save_state()  # from now on the files beside it belong to this run
        else:
            self._check_settings(state)
            self.done, self._sizes = state["done"], state["sizes"]
            self.statistics = Statistics.from_dict(state["statistics"])
            self.finished, self._digests = state["finished"], state["digests"]
        if self.finished:
            self._rename_part()
            check_content(self.path, state)  # type: ignore[arg-type]  # there is one
            return self
        try:
            self._open_files()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # A full disk fails again when the file is closed: the first error is raised.
        with suppress(OSError) if kind else nullcontext():
            self._stack.close()

    def add_batch(
        self, records: Sequence[Mapping], excluded: Sequence[Mapping], statistics: Statistics
    ) -> None:
        """Write the results of the next batch; on return they are on disk.

        Raises:
            StorageError: they cannot be written; the finished batches are kept.
        """
        with describe_write_errors(self.part, _ADVICE):
            for file, content in zip(self._files, (records, excluded), strict=True):
                file.write(b"".join(map(to_json_line, content)))
            self._commit(1, statistics)

    def append(self, other: Path, num_batches: int, statistics: Statistics) -> None:
        """Append the finished output of the next batches, for example of a shard.

        See :func:`check_content`.
        """
        for file, source in zip(
            self._files, (other, _beside(other, ".left_out.jsonl")), strict=True
        ):
            with open(source, "rb") as content, describe_write_errors(self.part, _ADVICE):
                shutil.copyfileobj(content, file, 1 << 20)
        with describe_write_errors(self.part, _ADVICE):
            self._commit(num_batches, statistics)

    def finish(self) -> None:
        """Give the file of records its final name."""
        self._stack.close()
        self.finished = True
        self._digests = [file_digest(self.part), file_digest(self.excluded)]
        self._save_state()
        self._rename_part()

    def is_of_others(self) -> bool:
        """Return whether the files at the output are not of a run with these settings."""
        try:
            state = read_state(self.path)
        except LabelingMismatchError:
            return True
        return state is None or bool(self._differing(state))

    def discard(self) -> None:
        """Delete the files of a run, before entering.

        Raises:
            LabelingMismatchError: another process is writing them.
        """
        if self.part.exists():
            with self._stack:
                self._lock()
        for each in (_beside(self.path, ".state.json"), self.part, self.excluded, self.path):
            with describe_write_errors(each):
                each.unlink(missing_ok=True)

    def _commit(self, num_batches: int, statistics: Statistics) -> None:
        for file in self._files:
            file.flush()
            os.fsync(file.fileno())
        self._sizes = [file.tell() for file in self._files]
        self.done += num_batches
        self.statistics.update(statistics)
        self._save_state()

    def _save_state(self) -> None:
        state = dict(
            settings=self.settings,
            done=self.done,
            batches=self.num_batches,
            sizes=self._sizes,
            finished=self.finished,
            digests=self._digests,
            statistics=self.statistics.to_dict(),
        )
        atomic_write(_beside(self.path, ".state.json"), json.dumps(state, indent=1).encode())

    def _open_files(self) -> None:
        """Open both files and truncate what follows the last finished batch."""
        self._lock()
        for path, size in zip((self.part, self.excluded), self._sizes, strict=True):
            file = path.open("ab")
            self._stack.push(file)
            self._files.append(file)
            present = file.seek(0, os.SEEK_END)
            if present < size:
                raise LabelingMismatchError(
                    f"'{path}' has {present} bytes but had {size} when the run stopped: delete it "
                    f"and the files whose names begin with {self.path.name}, and start again"
                )
            if present > size:
                message = f"'{path}': truncated {present - size} bytes of an unfinished batch"
                print_log(message, logger="current", level=logging.WARNING)
            file.truncate(size)
            file.seek(size)

    def _lock(self) -> None:
        """Lock the output until it is closed, or until this process ends, however that happens.

        The lock is on a file descriptor of its own, which forked processes (the data-loading
        workers) close at once: they outlive a killed process by seconds.
        """
        if fcntl is None:
            return
        lock = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o666)
        _LOCKS.add(lock)
        self._stack.callback(_release, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputInUseError(
                f"another process is writing '{self.path}': wait for it, or give each process its "
                "own --shard or, if a launcher started them, --launcher"
            ) from None

    def _rename_part(self) -> None:
        """Rename the finished file, unless a previous run has done so."""
        if self.part.is_file():
            os.truncate(self.part, self._sizes[0])
            fsync_rename(self.part, self.path)
        elif not self.path.is_file():
            raise LabelingMismatchError(
                f"'{self.path}' was finished but is missing: restore it, or delete "
                f"'{_beside(self.path, '.state.json')}' to start again"
            )

    def _check_no_other_files(self) -> None:
        for each in (self.path, self.part, self.excluded):
            if each.exists():
                raise LabelingMismatchError(
                    f"'{each}' already exists without a state file: choose another output, or "
                    "delete it"
                )

    def _check_settings(self, state: Mapping[str, Any]) -> None:
        differing = self._differing(state)
        if differing:
            raise LabelingMismatchError(
                f"'{self.path}' was started with other settings: {'; '.join(differing)}. Resume it "
                "with the same settings, choose another output, or delete it and the files whose "
                f"names begin with {self.path.name}"
            )

    def _differing(self, state: Mapping[str, Any]) -> list[str]:
        """Return the settings that differ from those of a state, with both values."""
        before = state["settings"] | {"number of batches": state["batches"]}
        now = self.settings | {"number of batches": self.num_batches}
        return [
            f"{name} ({str(before.get(name))[:40]} then, {str(now.get(name))[:40]} now)"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        ]


def read_state(path: Path) -> dict[str, Any] | None:
    """Read the state of an output; ``None`` if it was not started.

    Raises:
        LabelingMismatchError: the state file is invalid.
    """
    file = _beside(path, ".state.json")
    if not file.is_file():
        return None
    try:
        state = json.loads(file.read_text())
        Statistics.from_dict(state["statistics"])
        check_mapping("settings", state["settings"])
        check_bool("finished", state["finished"])
        check_int("done", state["done"], low=0, high=check_int("batches", state["batches"], low=0))
        _, _ = (check_int("sizes", size, low=0) for size in state["sizes"])
        if state["finished"]:
            _, _ = map(str.encode, state["digests"])
            check_int("done", state["done"], low=state["batches"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LabelingMismatchError(
            f"'{file}' is not the state of a labeling run: choose another output, or delete it and "
            f"the files whose names begin with {path.name}"
        ) from None
    return state


def check_content(path: Path, state: Mapping[str, Any]) -> None:
    """Check that the records of a finished run are those that it wrote.

    Raises:
        LabelingMismatchError: they were changed.
    """
    _check_digest(path, state["digests"][0], path)


def check_excluded(path: Path, state: Mapping[str, Any]) -> None:
    """Check the same of what a finished run left out."""
    _check_digest(_beside(path, ".left_out.jsonl"), state["digests"][1], path)


def _check_digest(file: Path, expected: str, path: Path) -> None:
    if not file.is_file() or file_digest(file) != expected:
        raise LabelingMismatchError(
            f"'{file}' was changed since the run finished: restore it, or delete it and the files "
            f"whose names begin with {path.name} to start again"
        )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
