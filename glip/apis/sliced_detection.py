"""Detect in slices of a large image and in the whole image, and merge what is found.

Shapes: H x W pixels of the image, K detections, P phrases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.structures import InstanceData
from torch import Tensor
from tqdm import tqdm

from glip.apis.inference import Image, detect_batch, is_path, load_with_pixels, prepare, set_prompt
from glip.apis.pipelines import make_pipeline
from glip.models import TextFeatureCache
from glip.slicing.grid import Slicing, Window, slice_windows
from glip.slicing.merging import count_added, drop_cut, is_cut, merge_by_nmm, merge_by_nms
from glip.slicing.sources import (
    DecodedImage,
    ImageSource,
    TiledTiff,
    open_tiled,
    reduce_image,
)
from glip.structures import DetDataSample
from glip.structures.export import filter_instances
from glip.text import Prompt
from glip.utils.errors import ConfigError
from glip.utils.image_files import ImageLimits

#: Larger images are drawn on a reduced copy.
MAX_DRAWN_PIXELS = 100_000_000


class SlicedResult(NamedTuple):
    """What was found in an image.

    Attributes:
        sample: the detections, xyxy pixels of the image; the presence of a phrase is the best one
            of the whole image and the slices.
        whole: what was found in the whole image alone.
        num_slices: number of slices, 0 for an image that is no larger than a slice.
        pixels: BGR (h, w, 3), to draw on: those of the image, or of a reduced one for an image that
            is read by windows or has more than :data:`MAX_DRAWN_PIXELS`.
    """

    sample: DetDataSample
    whole: DetDataSample
    num_slices: int
    pixels: np.ndarray


class SlicedDetection:
    """Detect in large images by slices; threads may share it.

    A tiled TIFF is read by windows if tifffile is installed, so that its pixels are never in memory
    at once; another image is decoded first.

    Args:
        slicing: size, overlap and merging of the slices.
        text_cache: of the detector to use.
        cfg: its config.
        limits: of the images; by default those of the config.
        show_progress: show a progress bar over the slices of each image.
    """

    def __init__(
        self,
        slicing: Slicing,
        text_cache: TextFeatureCache,
        cfg: Config,
        limits: ImageLimits | None = None,
        show_progress: bool = False,
    ) -> None:
        self._show_progress = show_progress
        self.slicing = slicing
        self._text_cache = text_cache
        self._limits = limits or ImageLimits()
        self._from_path = make_pipeline(cfg, from_array=False, limits=limits)
        self._from_array = make_pipeline(cfg, from_array=True, limits=limits)

    def detect(self, image: Image, prompt: Prompt, score_thr: float | None = None) -> SlicedResult:
        """Detect the objects that a prompt names.

        Args:
            image: a path, a URL, bytes, a file object, a Pillow image, a BGR array or an RGB
                tensor.
            prompt: what to detect.
            score_thr: leave out detections below this score before they are merged; ``None``: all.

        Raises:
            ImageReadError: the image cannot be read.
        """
        tiled = open_tiled(image, self._limits)
        with tiled or nullcontext():
            whole, source, shown = self._detect_whole(image, tiled, prompt)
            found = [filter_instances(whole.pred_instances, score_thr or 0.0)]
            cut = [torch.zeros(len(found[0]), dtype=torch.bool)]
            presence = [whole.presence.scores]
            windows = slice_windows(source.height, source.width, self.slicing)
            for window, sample in self._detect_slices(source, windows, prompt):
                part = filter_instances(sample.pred_instances, score_thr or 0.0)
                part.bboxes = part.bboxes + part.bboxes.new_tensor(
                    [window.x1, window.y1, window.x1, window.y1]
                )
                found.append(part)
                cut.append(is_cut(part.bboxes.cpu(), window, source.height, source.width))
                presence.append(sample.presence.scores)
        whole.set_metainfo(dict(ori_shape=(source.height, source.width)))
        sample = whole.clone()
        if windows:
            sample.pred_instances = _merge(found, torch.cat(cut), prompt.names, self.slicing)
            sample.presence.scores = torch.stack(presence).amax(0)
        return SlicedResult(sample, whole, len(windows), shown)

    def describe(self, result: SlicedResult) -> dict[str, int | float]:
        """Return what slicing did in an image, as the predictions file says it.

        Args:
            result: with the detections that are kept, of the whole image too.

        Returns:
            ``count``, ``size`` and ``overlap`` of the slices, and ``added``: the detections that
            match none of the whole image alone by label and an IoU of 0.5.
        """
        found, alone = result.sample.pred_instances, result.whole.pred_instances
        added = count_added(
            found.bboxes.cpu(), found.labels.cpu(), alone.bboxes.cpu(), alone.labels.cpu()
        )
        return dict(
            count=result.num_slices,
            size=self.slicing.size,
            overlap=self.slicing.overlap,
            added=added,
        )

    def _detect_whole(
        self, image: Image, tiled: TiledTiff | None, prompt: Prompt
    ) -> tuple[DetDataSample, ImageSource, np.ndarray]:
        """Detect in the whole image; return also the image, and pixels to draw on."""
        if tiled is not None:
            shown, factor = reduce_image(tiled)
            (whole,) = self._detect([shown], prompt)
            boxes = whole.pred_instances.bboxes * factor
            limit = boxes.new_tensor([tiled.width, tiled.height] * 2)
            whole.pred_instances.bboxes = torch.minimum(boxes, limit)
            whole.set_metainfo(dict(img_path=str(image)))
            return whole, tiled, shown
        pipeline: Compose = self._from_path if is_path(image) else self._from_array
        item, pixels = load_with_pixels(image, pipeline)
        if pixels is None:
            raise ConfigError(
                "slices are cut from the image that LoadImageFromFile loads: expected that step in "
                "the test pipeline"
            )
        set_prompt(item["data_samples"], prompt)
        (whole,) = detect_batch([item], self._text_cache)
        source = DecodedImage(pixels)
        if pixels.shape[0] * pixels.shape[1] > MAX_DRAWN_PIXELS:
            pixels, _ = reduce_image(source)
        return whole, source, pixels

    def _detect_slices(
        self, source: ImageSource, windows: Sequence[Window], prompt: Prompt
    ) -> Iterator[tuple[Window, DetDataSample]]:
        """Detect in slices, in batches."""
        left = iter(windows)
        hidden = not (self._show_progress and len(windows) > self.slicing.batch_size)
        with tqdm(
            total=len(windows), desc="Slices", unit="slice", leave=False, disable=hidden
        ) as progress:
            while batch := list(islice(left, self.slicing.batch_size)):
                yield from zip(batch, self._detect(map(source.read, batch), prompt), strict=True)
                progress.update(len(batch))

    def _detect(self, images: Iterable[np.ndarray], prompt: Prompt) -> list[DetDataSample]:
        items = [prepare(pixels, prompt, self._from_array) for pixels in images]
        return detect_batch(items, self._text_cache)


def _merge(
    parts: Sequence[InstanceData], cut: Tensor, names: Sequence[str], slicing: Slicing
) -> InstanceData:
    """Merge the detections of the whole image and of slices, all in pixels of the image."""
    boxes = torch.cat([part.bboxes for part in parts]).cpu().float()
    scores = torch.cat([part.scores for part in parts]).cpu().float()
    labels = torch.cat([part.labels for part in parts]).cpu()
    kept = drop_cut(boxes, scores, labels, cut).nonzero()[:, 0]
    boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
    if slicing.merge == "nms":
        best = merge_by_nms(boxes, scores, labels, slicing.iou_threshold)
        boxes = boxes[best]
    else:
        best, boxes = merge_by_nmm(boxes, scores, labels, slicing.iou_threshold)
    labels = labels[best]
    return InstanceData(
        bboxes=boxes,
        scores=scores[best],
        labels=labels,
        label_names=[names[label] for label in labels.tolist()],
    )
