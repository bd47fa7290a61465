"""Checks of an exported model: its files, and what its graphs return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from glip.utils.errors import CheckpointError
from glip.utils.messages import shorten
from glip.utils.regular_files import file_problem
from glip.utils.sha256 import file_sha256


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Compare the files of an exported model with their sha256.

    Raises:
        CheckpointError: one is missing, or has another content than the export wrote.
    """
    for name, expected in files.items():
        path = folder / name
        problem = file_problem(path)
        if problem == "does not exist":
            raise CheckpointError(f"'{folder}' lacks the file {name}: copy or export it again")
        if problem:
            raise CheckpointError(f"'{path}' {problem}: copy or export it again")
        if file_sha256(path) != expected:
            raise CheckpointError(
                f"'{path}' is not the file that was exported (its sha256 differs from that in the "
                "manifest): copy or export it again"
            )


def check_outputs(
    graph: str, outputs: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]
) -> list[np.ndarray]:
    """Check the shapes of a graph's outputs, and that they are finite; return them.

    Raises:
        CheckpointError: they are something else.
    """
    found = [each.shape for each in outputs]
    if found != list(shapes):
        raise CheckpointError(
            f"the graph {graph} returned arrays of the shapes {shorten(found)}, expected "
            f"{shorten(list(shapes))}: it does not belong to its manifest, export the model again"
        )
    for each in outputs:
        # The sum is finite only if all terms are; the sum of large ones may not be.
        with np.errstate(over="ignore", invalid="ignore"):
            total = each.sum()
        if not np.isfinite(total) and not np.isfinite(each).all():
            raise CheckpointError(
                f"the graph {graph} returned non-finite values (NaN or Inf): the weights are "
                "damaged, or too large for their precision. Export the model again"
            )
    return list(outputs)
