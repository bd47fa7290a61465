"""Predictions on disk, with which an interrupted evaluation resumes."""

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
    """A folder of predictions by image index, which any number of processes may write to.

    Each file is written atomically and read without unpickling arbitrary objects.

    Args:
        folder: created if it does not exist.
        fingerprint: text that identifies the evaluation (config, checkpoint, data).

    Raises:
        EvaluationMismatchError: the folder holds predictions of another evaluation.
    """

    def __init__(self, folder: str | Path, *, fingerprint: str):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(fingerprint.encode()).hexdigest()
        digest_file = self.folder / "evaluation.txt"
        if is_main_process() and not digest_file.is_file():
            atomic_write(digest_file, digest.encode())
        barrier()
        if digest_file.read_text() != digest:
            raise EvaluationMismatchError(
                f"{self.folder} holds predictions of another evaluation (config, checkpoint or "
                "data differ): pass another --resume-dir, or delete this one"
            )

    def write(self, predictions: dict[int, dict]) -> None:
        """Write the predictions of a batch, by image index."""
        name = f"{min(predictions):09d}-{uuid.uuid4().hex[:8]}.pth"
        partial = self.folder / f".{name}.partial"
        # Metrics need no prompt, and 1203 class names per image would be most of the file.
        images = {
            index: to_builtin({key: value for key, value in sample.items() if key != "text"})
            for index, sample in predictions.items()
        }
        torch.save({"images": images}, partial)
        os.replace(partial, self.folder / name)

    def read(self) -> dict[int, dict]:
        """Return all predictions by image index."""
        predictions: dict[int, dict] = {}
        for file in sorted(self.folder.glob("*.pth")):
            predictions.update(read_checkpoint(file)["images"])
        return predictions
