"""Detect in images one after the other: in whole images, in several views of each, or in slices.

Shapes: H x W pixels.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from tqdm import tqdm

from glip.apis.failures import Failures
from glip.apis.image_inputs import ImageInput
from glip.apis.inference import Image, detect_batch, is_path, load_with_pixels, set_prompt
from glip.apis.pipelines import make_pipeline
from glip.apis.sliced_detection import SlicedDetection
from glip.apis.tta import detect_views, find_tta_pipeline, make_tta_model
from glip.datasets.images import open_image
from glip.models import TextFeatureCache
from glip.slicing import Slicing
from glip.slicing.grid import Window
from glip.slicing.sources import DecodedImage, ImageSource, open_tiled
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ImageReadError, StorageError
from glip.utils.image_files import ImageLimits
from glip.visualization.crops import CropFolder, SavedCrops

#: Images with their prompts.
Pairs = Iterator[tuple[ImageInput, Prompt]]


@dataclass(frozen=True)
class DetectionRun:
    """What is wanted of some images.

    Attributes:
        count: number of the images; ``None``: not known.
        batch_size: images per batch.
        with_pixels: whether the pixels are needed.
        select: returns a sample with the detections that are wanted.
        min_score: those of slices with a lower score may be left out before they are merged.
        failures: counts the images that cannot be read.
    """

    count: int | None
    batch_size: int
    with_pixels: bool
    select: Callable[[DetDataSample], DetDataSample]
    min_score: float | None
    failures: Failures


@dataclass(frozen=True)
class DetectedImage:
    """An image, and what was found in it.

    Attributes:
        image: the image.
        found: its detections, or why it cannot be read.
        pixels: RGB (H, W, 3) if they are wanted; of a very large image that is detected in by
            slices, a reduced copy.
    """

    image: ImageInput
    found: DetDataSample | ImageReadError
    pixels: np.ndarray | None = None


class WholeImages:
    """Detect in whole images, in batches; threads may share it.

    Args:
        text_cache: of the detector to use.
        cfg: its config.
        limits: of the images.
        tta: detect in several views of each image and merge them.
        show_progress: show a progress bar for several images.
    """

    def __init__(
        self,
        text_cache: TextFeatureCache,
        cfg: Config,
        limits: ImageLimits,
        *,
        tta: bool,
        show_progress: bool,
    ) -> None:
        self._text_cache = text_cache
        self._cfg = cfg
        self._limits = limits
        self._show_progress = show_progress
        self._tta = make_tta_model(cfg, text_cache.model) if tta else None
        self._steps = find_tta_pipeline(cfg) if tta else None
        self._pipelines: dict[bool, Compose] = {}
        self._lock = threading.Lock()  # of the pipelines

    def detect(self, pairs: Pairs, run: DetectionRun) -> Iterator[DetectedImage]:
        """Yield the images with their detections."""
        is_long = run.count is None or run.count > run.batch_size
        with tqdm(
            total=run.count,
            desc="Detecting",
            unit="image",
            disable=not (self._show_progress and is_long),
        ) as progress:
            while batch := list(islice(pairs, run.batch_size)):
                items: list[dict | ImageReadError] = []
                pixels: list[np.ndarray | None] = []
                for image, prompt in batch:
                    try:
                        item, bgr = load_with_pixels(image.source, self._pipeline(image.source))
                    except ImageReadError as error:
                        items.append(run.failures.not_read(error, image))
                        pixels.append(None)
                        continue
                    samples = item["data_samples"]  # with views a list
                    for sample in samples if isinstance(samples, list) else [samples]:
                        set_prompt(sample, prompt)
                    items.append(item)
                    wanted = run.with_pixels
                    pixels.append(to_rgb(image.source, bgr, self._limits) if wanted else None)
                found = iter(self._detect_good([item for item in items if isinstance(item, dict)]))
                for (image, _), loaded, rgb in zip(batch, items, pixels, strict=True):
                    if isinstance(loaded, dict):
                        yield DetectedImage(image, run.select(next(found)), rgb)
                    else:
                        yield DetectedImage(image, loaded)
                progress.update(len(batch))

    def _detect_good(self, items: list[dict]) -> list[DetDataSample]:
        """Detect in a batch of images that could be read."""
        if not items:
            return []
        if self._tta is not None:
            return detect_views(items, self._tta, self._text_cache)
        return detect_batch(items, self._text_cache)

    def _pipeline(self, image: Image) -> Compose:
        from_array = not is_path(image)
        with self._lock:
            if from_array not in self._pipelines:
                self._pipelines[from_array] = make_pipeline(
                    self._cfg, from_array=from_array, limits=self._limits, steps=self._steps
                )
            return self._pipelines[from_array]


class SlicedImages:
    """Detect in slices of each image, one image after the other; threads may share it.

    Args:
        slicing: size, overlap and merging of the slices.
        text_cache: of the detector to use.
        cfg: its config.
        limits: of the images.
        show_progress: show a progress bar.
    """

    def __init__(
        self,
        slicing: Slicing,
        text_cache: TextFeatureCache,
        cfg: Config,
        limits: ImageLimits,
        *,
        show_progress: bool,
    ) -> None:
        self._slices = SlicedDetection(slicing, text_cache, cfg, limits, show_progress)
        self._limits = limits
        self._show_progress = show_progress

    def detect(self, pairs: Pairs, run: DetectionRun) -> Iterator[DetectedImage]:
        """Yield the images with their detections."""
        hidden = not self._show_progress or run.count == 1
        for image, prompt in tqdm(
            pairs, total=run.count, desc="Detecting", unit="image", disable=hidden
        ):
            try:
                result = self._slices.detect(image.source, prompt, run.min_score)
            except ImageReadError as error:
                yield DetectedImage(image, run.failures.not_read(error, image))
                continue
            result = result._replace(
                sample=run.select(result.sample), whole=run.select(result.whole)
            )
            result.sample.set_metainfo(dict(slices=self._slices.describe(result)))
            pixels = None
            if run.with_pixels:
                pixels = to_rgb(image.source, result.pixels, self._limits)
            yield DetectedImage(image, result.sample, pixels)


def to_rgb(image: Image, bgr: np.ndarray | None, limits: ImageLimits) -> np.ndarray:
    """Return a copy of an image in RGB order, to draw on.

    Args:
        image: the image.
        bgr: its pixels if they were loaded, (H, W, 3) or (H, W).
        limits: of the image, to load it.
    """
    if bgr is None:  # a pipeline with a loading step of its own
        bgr = open_image(image, limits=limits)
    elif bgr.ndim == 2:  # loaded with color_type="grayscale"
        bgr = np.repeat(bgr[:, :, None], 3, axis=2)
    return np.ascontiguousarray(bgr[..., ::-1])


def save_crops_of(
    result: DetectedImage, folder: CropFolder, score_thr: float, limits: ImageLimits
) -> SavedCrops:
    """Save a crop of each detection of this score or more.

    A very large image, whose pixels are reduced, is read again, by windows if it can be.

    Args:
        result: an image that was read, with its pixels.
        folder: of the crops.
        score_thr: smallest score.
        limits: of the image.

    Raises:
        StorageError: a file cannot be written, or the image cannot be read again.
    """
    sample, pixels = result.found, result.pixels
    assert isinstance(sample, DetDataSample)
    assert pixels is not None
    found = sample.pred_instances
    numbers = (found.scores >= score_thr).nonzero()[:, 0].tolist()
    boxes, size = found.bboxes.tolist(), tuple(sample.ori_shape)
    name, source = result.image.name, result.image.source
    if pixels.shape[:2] == size:
        large: ImageSource = DecodedImage(pixels)
        return folder.save(
            name, boxes, found.label_names, numbers, size, lambda at: large.read(Window(*at))
        )
    try:
        tiled = open_tiled(source, limits)
        with tiled or nullcontext():
            large = tiled or DecodedImage(open_image(source, limits=limits))
            return folder.save(
                *(name, boxes, found.label_names, numbers, size),
                lambda at: large.read(Window(*at))[..., ::-1],
            )
    except ImageReadError as error:
        raise StorageError(f"no crops of {name}: {error}") from None


def at_scale(sample: DetDataSample, size: tuple[int, int]) -> DetDataSample:
    """Return a sample with its detections in pixels of an image reduced to (height, width)."""
    if tuple(sample.ori_shape) == size:
        return sample
    reduced = sample.clone()
    reduced.pred_instances = sample.pred_instances.clone()  # clones share their tensors
    reduced.pred_instances.bboxes = sample.pred_instances.bboxes * (size[0] / sample.ori_shape[0])
    reduced.set_metainfo(dict(ori_shape=size))
    return reduced
