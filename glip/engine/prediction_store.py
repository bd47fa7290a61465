"""Predictions on disk, so that an interrupted evaluation loses none."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

import torch
from mmengine.dist import barrier, is_main_process

from glip.checkpoint import read_checkpoint
from glip.utils.atomic_write import atomic_write
from glip.utils.errors import EvaluationMismatchError
from glip.utils.serialization import to_builtin


class PredictionStore:
    """A folder of predictions, by index in the data set; any number of processes may write.

    Every file is written whole or not at all, and read without unpickling objects.

    Args:
        folder: where; made if it is not there.
        fingerprint: text that identifies the evaluation (config, checkpoint, data).

    Raises:
        EvaluationMismatchError: the folder holds another evaluation.
    """

    def __init__(self, folder: str | Path, *, fingerprint: str):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()
        mark = self.folder / "evaluation.txt"
        if is_main_process() and not mark.is_file():
            atomic_write(mark, digest.encode())
        barrier()
        if mark.read_text() != digest:
            raise EvaluationMismatchError(
                f"{self.folder} holds predictions of another evaluation (config, checkpoint or "
                "data differ): pass another --resume-dir, or delete this one"
            )

    def write(self, found: dict[int, dict]) -> None:
        """Write the predictions of a batch."""
        name = f"{min(found):09d}-{uuid.uuid4().hex[:8]}.pth"
        partial = self.folder / f".{name}.partial"
        # Scoring needs no prompt, and 1203 names an image would be most of the file.
        images = {
            index: to_builtin({key: value for key, value in sample.items() if key != "text"})
            for index, sample in found.items()
        }
        torch.save({"images": images}, partial)
        os.replace(partial, self.folder / name)

    def read(self) -> dict[int, dict]:
        """Read all predictions."""
        done: dict[int, dict] = {}
        for file in sorted(self.folder.glob("*.pth")):
            done.update(read_checkpoint(file)["images"])
        return done
