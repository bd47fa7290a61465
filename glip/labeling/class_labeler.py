"""Label images with classes: each image is encoded once for all prompts, the text once per run.

Images are labeled in batches. The results of a batch depend on nothing else, to the last bit, so a
run can stop between any two batches.

Shapes: K detections.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from torch.utils.data import DataLoader, Dataset

from glip.apis.class_detection import check_calibration, phrase_detections
from glip.apis.inference import load_image
from glip.apis.pipelines import make_pipeline
from glip.classes.class_file import ClassFile
from glip.classes.combining import ClassDetections, apply_limits, iou, nms
from glip.classes.results import (
    BOX_DECIMALS,
    SCORE_DECIMALS,
    ClassResult,
    apply_classes,
    probabilities,
)
from glip.labeling.image_list import ImageList
from glip.labeling.statistics import Statistics
from glip.models import GLIP, TextFeatureCache
from glip.text import Prompt
from glip.utils.errors import ClassFileError, ImageReadError, PromptError

#: Boxes below the threshold that a record keeps for the review: down to this fraction of it, and at
#: most this number per image.
PROPOSAL_FRACTION = 0.5
MAX_PROPOSALS = 10


@dataclass
class LoadedImage:
    """An image as the pipeline returns it.

    Attributes:
        index: in the list of images.
        packed: inputs and data sample; ``None`` if it cannot be read.
        problem: why it cannot be read.
    """

    index: int
    packed: dict[str, Any] | None = None
    problem: str = ""


@dataclass
class ImageLabels:
    """The labels of a batch.

    Attributes:
        records: one for each image that was read, see :meth:`ClassLabeler.label_batch`.
        excluded: images that cannot be read, with the reason.
        statistics: counts of both.
        candidates: for each record the detections before thresholds and limits.
    """

    records: list[dict[str, Any]] = field(default_factory=list)
    excluded: list[dict[str, str]] = field(default_factory=list)
    statistics: Statistics = field(default_factory=Statistics)
    candidates: list[ClassDetections] = field(default_factory=list)


class ClassLabeler:
    """Detect classes in images.

    Args:
        model: the detector, in evaluation mode; its weights must not change.
        classes: what to detect.
        thresholds: smallest score of each class, see :meth:`ClassFile.thresholds`.

    Raises:
        ClassFileError: a phrase has no token, or more than the language encoder reads, or the
            calibration of the classes is not of this model.
    """

    def __init__(self, model: GLIP, classes: ClassFile, thresholds: Sequence[float]) -> None:
        check_calibration(model, classes)
        self.model = model
        self.classes = classes
        self.thresholds = list(thresholds)
        self._phrases = classes.phrases
        try:
            self._encoded = TextFeatureCache(model).encode_prompt(classes.prompt())
        except PromptError as error:
            raise _with_place(classes, model, error) from None

    def label_batch(self, images: ImageList, items: Sequence[LoadedImage]) -> ImageLabels:
        """Label the images of a batch.

        A record has ``file_name``, ``stem``, ``width``, ``height``, ``presence`` (the best score of
        each class) and ``detections``, best first: ``bbox`` (xyxy pixels, hundredths), ``label``,
        ``score`` (4 decimals), ``prompt`` and, with a calibration, ``probability``; and
        ``proposals``, the same of :meth:`proposals`, which are no labels.
        """
        labels = ImageLabels()
        counts = labels.statistics.counts
        found = iter(self._detect([item.packed for item in items if item.packed is not None]))
        for item in items:
            listed = images[item.index]
            counts["pictures"] += 1
            if item.packed is None:
                counts["unreadable"] += 1
                labels.excluded.append(dict(file_name=listed.file_name, reason=item.problem))
                continue
            result, is_full = next(found)
            height, width = item.packed["data_samples"].ori_shape
            counts["boxes"] += len(result.kept)
            counts["images with the maximum number of detections"] += is_full
            labels.statistics.add_scores(result.candidates.scores.tolist())
            labels.candidates.append(result.candidates)
            labels.records.append(
                dict(
                    file_name=listed.file_name,
                    stem=listed.stem,
                    width=int(width),
                    height=int(height),
                    presence=result.presence.round(SCORE_DECIMALS).tolist(),
                    detections=self._entries(result.kept),
                    proposals=self._entries(self.proposals(result)),
                )
            )
        return labels

    def proposals(self, result: ClassResult) -> ClassDetections:
        """Return boxes just below the threshold of their class, where no other box is.

        They pass :data:`PROPOSAL_FRACTION` of the threshold and the other limits of the classes,
        and overlap neither a detection nor a better proposal, of any class. The best
        :data:`MAX_PROPOSALS` are returned.
        """
        lower = [PROPOSAL_FRACTION * threshold for threshold in self.thresholds]
        near = apply_limits(self.classes, result.candidates, lower)
        near = near[near.scores < np.asarray(self.thresholds)[near.labels]]
        overlaps = iou(near.boxes, result.kept.boxes) > self.classes.nms
        near = near[np.flatnonzero(~overlaps.any(axis=1))]
        return near[nms(near.boxes, self.classes.nms)[:MAX_PROPOSALS]]

    def _detect(self, packed: Sequence[dict[str, Any]]) -> list[tuple[ClassResult, bool]]:
        """Return the results of images, and whether there may be more above a threshold."""
        if not packed:
            return []
        batch = dict(
            inputs=[each["inputs"] for each in packed],
            data_samples=[each["data_samples"] for each in packed],
        )
        with torch.inference_mode():
            batch = self.model.data_preprocessor(batch, False)
            levels = self.model.encode_image(batch["inputs"])
            found = self.model.predict_prompts(
                levels, batch["data_samples"], [[self._encoded]] * len(packed)
            )
        results = []
        most = self.model.bbox_head.postprocess.max_per_img
        for (own,), sample in zip(found, batch["data_samples"], strict=True):
            phrases = phrase_detections(own.instances, own.presence, sample.ori_shape)
            is_full = len(phrases.scores) >= most and phrases.scores.min() >= min(self.thresholds)
            results.append((apply_classes(self.classes, phrases, self.thresholds), bool(is_full)))
        return results

    def _entries(self, kept: ClassDetections) -> list[dict[str, Any]]:
        known = probabilities(self.classes, kept) or [None] * len(kept)
        entries = []
        for box, score, label, phrase, probability in zip(
            kept.boxes.round(BOX_DECIMALS).tolist(),
            kept.scores.round(SCORE_DECIMALS).tolist(),
            kept.labels.tolist(),
            kept.phrases.tolist(),
            known,
            strict=True,
        ):
            entry = dict(bbox=box, label=label, score=score, prompt=self._phrases[phrase])
            if probability is not None:
                entry["probability"] = probability
            entries.append(entry)
        return entries


class _Images(Dataset):
    """Images, prepared in the data-loading workers."""

    def __init__(self, images: ImageList, pipeline: Compose) -> None:
        self.images = images
        self.pipeline = pipeline

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> LoadedImage:
        try:
            return LoadedImage(index, load_image(self.images.load(index), self.pipeline))
        except ImageReadError as error:
            return LoadedImage(index, problem=str(error))


def label_images(
    labeler: ClassLabeler,
    images: ImageList,
    batches: Sequence[Sequence[int]],
    *,
    num_workers: int = 0,
) -> Iterator[ImageLabels]:
    """Label batches of images, one after the other.

    Args:
        labeler: labels them.
        images: all images.
        batches: indices of the images of each batch.
        num_workers: number of data-loading processes.

    Raises:
        ConfigError: the model's config has no usable test pipeline.
    """
    pipeline = make_pipeline(labeler.model.cfg, from_array=images.from_array, limits=images.limits)
    loader = DataLoader(
        _Images(images, pipeline),
        batch_sampler=batches,  # type: ignore[arg-type]  # any iterable of indices
        num_workers=min(num_workers, len(batches)),
        collate_fn=list,
    )
    for items in loader:
        yield labeler.label_batch(images, items)


def _with_place(classes: ClassFile, model: GLIP, error: PromptError) -> ClassFileError:
    """Return the error of a phrase that cannot be tokenized, with its class and line."""
    for each in classes.classes:
        for phrase in (*each.prompts, *each.not_):
            try:
                model.chunk_prompt(Prompt.from_class_names([phrase]))
            except PromptError as own:
                return ClassFileError(
                    f"{classes.where(each.name)}: class {each.name!r:.100}: {own}"
                )
    return ClassFileError(f"{classes.path or 'the classes'}: {error}")
