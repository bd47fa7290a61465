"""Merging the shards of a labeling run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glip.labeling.output import ResumableOutput, check_content, check_excluded, read_state
from glip.labeling.shards import Shard
from glip.labeling.statistics import Statistics
from glip.utils.errors import LabelingMismatchError


def merge_shards(out: ResumableOutput, settings: Mapping[str, Any]) -> None:
    """Merge the finished shards of an output into the file that one process would have written.

    Args:
        out: the output to write, entered.
        settings: of the shards, without ``shard``.

    Raises:
        LabelingMismatchError: shards are missing, unfinished, changed, or of another run.
    """
    count = count_shards(out.path)
    if count is None:
        raise LabelingMismatchError(
            f"expected one set of shards of '{out.path}', such as {out.path.name}.0-of-4 to "
            "3-of-4, got none"
        )
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
        check_content(path, state)
        check_excluded(path, state)
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


def count_shards(path: Path) -> int | None:
    """Return the number of shards of an output, from the file names beside it; ``None`` without.

    Raises:
        LabelingMismatchError: there are sets of shards with different numbers.
    """
    pattern = re.compile(re.escape(path.name) + r"\.\d+-of-(\d+)(\.state\.json)?")
    found = {
        int(match[1])
        for each in path.parent.glob("*-of-*")
        if (match := pattern.fullmatch(each.name))
    }
    if len(found) > 1:
        raise LabelingMismatchError(
            f"expected one set of shards of '{path}', such as {path.name}.0-of-4 to 3-of-4, got "
            f"shards of {' and of '.join(map(str, sorted(found)))}"
        )
    return found.pop() if found else None
