"""What the server keeps of a visitor: the encoded image, and the last answers."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glip.apis.predictor import Predictor
from glip.datasets.image_bytes import check_size
from glip.datasets.images import decode_image
from glip.text import Prompt
from glip.utils.errors import ImageReadError, shorten
from glip.utils.image_files import ImageLimits, safe_file_name
from glip.web.answers import Answer
from glip.web.models import WebModel
from glip.web.shown_image import ShownImage


@dataclass(frozen=True)
class Upload:
    """A file that a visitor sent.

    Attributes:
        path: where the server stored it, a name that nobody can guess.
        name: what the visitor calls it.
    """

    path: str
    name: str


class Visit:
    """One visitor. An image is encoded once for all prompts, by each model that is used on it.

    Threads may share a visit. Nothing of it is shared with other visits but the models and their
    text features.

    Args:
        folder: the files that the visitor sees are in a new folder below it, which is deleted with
            the visit.
        limits: of images.

    Attributes:
        answers: the last answer of each part of the page, or why there is none.
        folder: of the visitor's files.
    """

    def __init__(self, folder: Path, limits: ImageLimits) -> None:
        self.answers: dict[str, Answer | str] = {}
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self._limits = limits
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._upload: Upload | None = None
        self._pixels = np.empty((0, 0, 3), np.uint8)
        self._image: ShownImage | None = None
        self._predictors: dict[str, Predictor] = {}
        self._lock = threading.Lock()

    def detect(
        self, part: str, model: WebModel, upload: Upload, prompts: Sequence[Prompt]
    ) -> Answer:
        """Detect with all prompts, and keep the answer.

        Args:
            part: key of :attr:`answers`.
            model: the model.
            upload: the image; the one of the last call is not read and encoded again.
            prompts: the prompts.

        Raises:
            ImageReadError: the image is too large or cannot be read.
            PromptError: a prompt cannot be tokenized.
        """
        start = time.perf_counter()
        with self._lock:
            image = self._open(upload)
            encoded = model.name not in self._predictors
            predictor = self._encode(model)
            samples = [predictor.predict(prompt) for prompt in prompts]
            for sample in samples:
                if len(sample.pred_instances) > model.max_per_img:
                    sample.pred_instances = sample.pred_instances[: model.max_per_img]
            answer = Answer(
                image=image,
                model=model,
                prompts=tuple(prompts),
                samples=tuple(samples),
                seconds=time.perf_counter() - start,
                encoded=encoded,
            )
            self.answers[part] = answer
        return answer

    def _open(self, upload: Upload) -> ShownImage:
        if self._image is not None and upload == self._upload:
            return self._image
        self._image = self._upload = None
        self._predictors = {}
        shown = f"the image '{shorten(upload.name)}'"
        if not os.path.isfile(upload.path):
            raise ImageReadError(f"{shown} is no longer on the server: choose it again")
        check_size(os.path.getsize(upload.path), self._limits, shown)
        self._pixels = decode_image(Path(upload.path).read_bytes(), shown, self._limits)
        name = Path(upload.name)
        safe = safe_file_name(name.stem, "image") + name.suffix
        self._image = ShownImage(safe, self._pixels, self.folder)
        self._upload = upload
        return self._image

    def _encode(self, model: WebModel) -> Predictor:
        if model.name not in self._predictors:
            predictor = model.predictor()
            predictor.set_image(self._pixels)
            self._predictors[model.name] = predictor
        return self._predictors[model.name]
