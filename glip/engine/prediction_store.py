"""Predictions on disk, with which an interrupted evaluation resumes."""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from glip.checkpoint import read_checkpoint
from glip.utils.atomic_write import atomic_open, atomic_write, describe_write_errors
from glip.utils.errors import (
    CheckpointError,
    EvaluationMismatchError,
    GLIPError,
    StorageError,
    summarize,
)
from glip.utils.serialization import to_builtin

#: File in the folder with the digests of what the predictions depend on.
_IDENTITY = "evaluation.json"
_ADVICE = "The finished predictions are kept: the same command resumes from them"


class PredictionStore:
    """A folder of predictions, one file per batch, which any number of processes may write to.

    A batch is identified by its images, because images are padded to the largest of their batch,
    which changes the last digits of the results. A stored batch is therefore used only where the
    run has a batch of the same images, whatever their positions in the data set are.

    Each file is written atomically and read without unpickling arbitrary objects. A file that is
    damaged counts as absent.

    Args:
        folder: created if it does not exist.
        identity: what the evaluation depends on (weights, configs, annotation files): digests by
            name.

    Raises:
        EvaluationMismatchError: the folder holds predictions of another evaluation.
        StorageError: the folder is not writable.
    """

    def __init__(self, folder: str | Path, *, identity: Mapping[str, str]):
        self.folder = Path(folder)
        self._damaged: list[str] = []
        # The main process checks, and all raise its error: none waits for another.
        problem: list[Any] = [None]
        if is_main_process():
            try:
                self._open(dict(identity))
            except GLIPError as error:
                problem = [error]
        broadcast_object_list(problem)
        if problem[0] is not None:
            raise problem[0]

    def _open(self, identity: dict[str, str]) -> None:
        with describe_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / _IDENTITY
        if file.is_file():
            _check_identity(file, identity)
        elif any(self.folder.glob("*.pth")):
            raise EvaluationMismatchError(
                f"{self.folder} contains .pth files but no {_IDENTITY}, so they are not the "
                "predictions of this evaluation: pass another --resume-dir"
            )
        else:
            atomic_write(file, json.dumps(identity, indent=1).encode())
        for partial in self.folder.glob(".*.partial"):  # what a kill has left
            with suppress(OSError):
                partial.unlink()

    def has(self, images: Sequence[str]) -> bool:
        """Return whether a batch of these images is stored."""
        return self._file(images).is_file()

    def write(self, images: Sequence[str], samples: Sequence[Mapping[str, Any]]) -> None:
        """Write the predictions of a batch.

        Args:
            images: a key of each image, unique in the evaluation.
            samples: the data sample of each, of built-in types, tensors and arrays.

        Raises:
            StorageError: the file cannot be written.
        """
        content = io.BytesIO()
        stored = [self._without_names(sample) for sample in samples]
        torch.save({"images": list(images), "samples": stored}, content)
        try:
            with atomic_open(self._file(images)) as file:
                file.write(content.getbuffer())
        except StorageError as error:
            raise _with_advice(error) from None

    def read(self, images: Sequence[str]) -> list[dict[str, Any]] | None:
        """Read the predictions of a batch; ``None`` if they are not stored or damaged."""
        file = self._file(images)
        if not file.is_file():
            return None
        try:
            content = read_checkpoint(file, mmap=False)
            samples = content["samples"]
            if content["images"] != list(images) or len(samples) != len(images):
                raise ValueError("it holds other images")
            return [self._with_names(sample) for sample in samples]
        except (CheckpointError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._damaged.append(f"{file.name}: {summarize(error)[:200]}")
            return None

    def report_damaged(self) -> None:
        """Warn of the files that were damaged and replaced."""
        if self._damaged:
            print_log(
                f"{len(self._damaged)} files in {self.folder} were damaged and their images were "
                f"detected again, for example {self._damaged[0]}",
                logger="current",
                level=logging.WARNING,
            )

    def _file(self, images: Sequence[str]) -> Path:
        digest = hashlib.sha256(json.dumps(list(images)).encode()).hexdigest()
        return self.folder / f"{digest[:24]}.pth"

    def _without_names(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Store a list of class names once for all images: LVIS has 1203."""
        names = sample.get("text")
        if not isinstance(names, (list, tuple)) or not all(isinstance(x, str) for x in names):
            return dict(sample)
        content = json.dumps([type(names).__name__, *names]).encode()
        file = self.folder / f"text-{hashlib.sha256(content).hexdigest()[:24]}.json"
        if not file.is_file() or file.read_bytes() != content:
            with atomic_open(file) as stream:
                stream.write(content)
        return {**sample, "text": {"names": file.name}}  # at the same place in the dictionary

    def _with_names(self, sample: dict[str, Any]) -> dict[str, Any]:
        text = sample.get("text")
        if not isinstance(text, dict):
            return sample
        content = (self.folder / Path(text["names"]).name).read_bytes()
        if text["names"] != f"text-{hashlib.sha256(content).hexdigest()[:24]}.json":
            raise ValueError(f"{text['names']} is damaged")
        kind, *names = json.loads(content)
        return {**sample, "text": tuple(names) if kind == "tuple" else names}


def image_keys(dataset: Any) -> list[str]:
    """Return a key for each image of a data set, unique in it: its data set and its id.

    Args:
        dataset: a data set of mmengine, or any sequence, whose images get their positions as keys.
    """
    seen: dict[str, int] = {}
    keys = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index) if hasattr(dataset, "get_data_info") else {}
        source = dataset.get_dataset_source(index) if hasattr(dataset, "get_dataset_source") else 0
        key = f"{source}/{to_builtin(info['img_id'])!r}" if "img_id" in info else f"#{index}"
        seen[key] = seen.get(key, 0) + 1
        keys.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return keys


def _check_identity(file: Path, identity: Mapping[str, str]) -> None:
    """Check that a folder's predictions are of this evaluation.

    Raises:
        EvaluationMismatchError: they are not, or the file is damaged.
    """
    advice = "pass another --resume-dir, or delete this one"
    try:
        stored = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        stored = None
    if not isinstance(stored, dict):
        raise EvaluationMismatchError(
            f"{file} is damaged, so it is unknown which evaluation the predictions beside it "
            f"belong to: {advice}"
        )
    differing = [
        name
        for name in dict.fromkeys([*identity, *stored])
        if identity.get(name) != stored.get(name)
    ]
    if differing:
        shown = ", ".join(name[:100] for name in differing[:5])
        raise EvaluationMismatchError(
            f"{file.parent} holds predictions of another evaluation, with different {shown}"
            f"{', ...' * (len(differing) > 5)}: {advice}"
        )


def _with_advice(error: StorageError) -> StorageError:
    named = StorageError(f"{error}. {_ADVICE}")
    named.errno = error.errno
    return named
