"""Detect in files, folders and arrays; save predictions and visualizations.

Shapes: H x W pixels, K detections.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from tqdm import tqdm

from glip.apis.build import build_detector, default_device, load_config
from glip.apis.inference import Image, check_prompts, detect_batch, make_pipeline, prepare
from glip.apis.prompting import Texts, prompts_for
from glip.checkpoint import read_checkpoint
from glip.config import find_weights, shipped_name
from glip.datasets.images import array_to_bgr, read_image
from glip.models import GLIP, TextFeatureCache
from glip.structures import DetDataSample
from glip.utils.errors import CheckpointError, ImageReadError
from glip.utils.image_files import IMAGE_EXTENSIONS, is_image_file
from glip.visualization import DetLocalVisualizer

_logger = logging.getLogger("glip")


class DetInferencer:
    """Detect the objects that a prompt names, with MMDetection's interface.

    Text features of prompts are reused over images and calls, while the model's weights stay the
    same.

    Args:
        model: a config file, the name of a shipped config, a config, or a detector. ``None`` for
            the config that the checkpoint names, if ``convert_glip.py`` wrote it.
        weights: a checkpoint in the format of microsoft/GLIP, of MMDetection or of this library; a
            file or a URL. ``None`` with the name of a shipped config: the published one.
        device: where to run; by default the first CUDA device if there is one.
        show_progress: show a progress bar for several images.

    Raises:
        ValueError: neither model nor weights are given.
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
    """

    def __init__(
        self,
        model: str | Path | Config | GLIP | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        show_progress: bool = True,
    ):
        if isinstance(model, GLIP):
            self.model = model
        else:
            if model is None:
                model = _config_of(weights)
            elif weights is None and isinstance(model, str):
                weights = find_weights(model)
            if weights is None:
                _logger.warning("no weights were given: the detector has random weights")
            device = default_device() if device is None else device
            self.model = build_detector(load_config(model), weights, device)
        self.cfg: Config = self.model.cfg
        self.show_progress = show_progress
        self.visualizer = DetLocalVisualizer()
        self._pipelines: dict[bool, Compose] = {}
        self._text_cache = TextFeatureCache(self.model)

    def __call__(
        self,
        inputs: Image | Sequence[Image],
        batch_size: int = 1,
        return_vis: bool = False,
        show: bool = False,
        wait_time: float = 0,
        no_save_vis: bool = False,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
        return_datasamples: bool = False,
        print_result: bool = False,
        no_save_pred: bool = True,
        out_dir: str | Path = "",
        texts: Texts | None = None,
        custom_entities: bool = False,
        tokens_positive: Sequence | int | None = None,
    ) -> dict:
        """Detect.

        An image that cannot be read is logged and skipped; if it is the only one, it is an error.

        Args:
            inputs: an image (file, URL or BGR array), a folder of images, or a list of images.
            batch_size: images per batch.
            return_vis: return the images with their detections drawn.
            show: show these in a window.
            wait_time: seconds to show it; 0 until a key is pressed.
            no_save_vis: save no drawn images.
            draw_pred: draw the detections.
            pred_score_thr: draw detections from this score on; predictions hold all.
            return_datasamples: return data samples rather than JSON-ready dicts.
            print_result: print the predictions.
            no_save_pred: save no predictions.
            out_dir: where to save, images in ``vis`` and predictions in ``preds``; nothing is
                saved without it.
            texts: the prompt, or one for each image; see :func:`glip.text.parse_prompt` and
                :func:`glip.apis.prompting.prompts_for`.
            custom_entities: texts are period-separated class names.
            tokens_positive: for each phrase of a sentence its character spans.

        Returns:
            ``predictions``: for each image a dict with ``labels``, ``label_names``, ``scores``
            and ``bboxes`` (xyxy pixels of the image), best first, or with ``error``; and
            ``visualization``: with ``return_vis`` for each image an RGB array (H, W, 3), or
            ``None`` for one with an error.

        Raises:
            PromptError: there is no prompt, or it cannot be parsed or tokenized.
            ImageReadError: the only image cannot be read, or the folder has none.
        """
        if batch_size < 1:
            raise ValueError(f"expected batch_size of 1 or more, got {batch_size}")
        images = list_images(inputs)
        prompts = prompts_for(
            len(images), texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        self._text_cache.clear_if_changed()
        check_prompts(self._text_cache, prompts)
        names = _unique_names(images)
        draw = return_vis or show or (bool(out_dir) and not no_save_vis)
        predictions: list[dict | DetDataSample] = []
        drawn: list[np.ndarray | None] = []
        for start, samples in self._detect(images, prompts, batch_size):
            for index, sample in enumerate(samples, start):
                if isinstance(sample, ImageReadError):
                    predictions.append({"error": str(sample)})
                    drawn.append(None)
                    continue
                result = detections_to_dict(sample)
                predictions.append(sample if return_datasamples else result)
                if out_dir and not no_save_pred:
                    _save_json(result, Path(out_dir, "preds", names[index] + ".json"))
                if draw:
                    save = bool(out_dir) and not no_save_vis
                    self.visualizer.add_datasample(
                        names[index],
                        _rgb(images[index]),
                        sample,
                        draw_gt=False,
                        draw_pred=draw_pred,
                        show=show,
                        wait_time=wait_time,
                        pred_score_thr=pred_score_thr,
                        out_file=str(Path(out_dir, "vis", names[index] + ".jpg")) if save else None,
                    )
                    if return_vis:
                        drawn.append(self.visualizer.get_image())
        if print_result:
            print(
                json.dumps(
                    [p if isinstance(p, dict) else detections_to_dict(p) for p in predictions]
                )
            )
        return {"predictions": predictions, "visualization": drawn if return_vis else None}

    def _detect(
        self, images: Sequence[Image], prompts: Sequence, batch_size: int
    ) -> Iterator[tuple[int, list]]:
        """Yield the index of a batch's first image and its samples or reading errors."""
        starts: Iterable[int] = range(0, len(images), batch_size)
        if self.show_progress and len(images) > batch_size:
            starts = tqdm(starts, desc="Detecting")
        for start in starts:
            items: list[dict | ImageReadError] = []
            batch = zip(images[start : start + batch_size], prompts[start:], strict=False)
            for image, prompt in batch:
                try:
                    items.append(prepare(image, prompt, self._pipeline(image)))
                except ImageReadError as error:
                    if len(images) == 1:
                        raise
                    _logger.warning("skipped: %s", error)
                    items.append(error)
            good = [item for item in items if isinstance(item, dict)]
            found = iter(detect_batch(good, self._text_cache) if good else ())
            yield start, [next(found) if isinstance(item, dict) else item for item in items]

    def _pipeline(self, image: Image) -> Compose:
        from_array = isinstance(image, np.ndarray)
        if from_array not in self._pipelines:
            self._pipelines[from_array] = make_pipeline(self.cfg, from_array=from_array)
        return self._pipelines[from_array]


def list_images(inputs: Image | Sequence[Image]) -> list[Image]:
    """List the images of a file, a folder (sorted by name, without subfolders), an array or a list.

    Raises:
        ImageReadError: there are none.
    """
    if isinstance(inputs, np.ndarray):
        return [inputs]
    if not isinstance(inputs, (str, Path)):
        images = list(inputs)
        if not images:
            raise ImageReadError("expected images, got an empty list")
        return images
    folder = Path(inputs)
    if not folder.is_dir():
        return [inputs]
    files = sorted(filter(is_image_file, folder.iterdir()))
    if not files:
        raise ImageReadError(
            f"the folder {folder} has no images: expected files with the extension "
            + ", ".join(IMAGE_EXTENSIONS)
        )
    return list(files)


def detections_to_dict(sample: DetDataSample) -> dict[str, list]:
    """Return a data sample's detections as lists, for JSON."""
    found = sample.pred_instances
    return {
        "labels": found.labels.tolist(),
        "label_names": list(found.label_names),
        "scores": found.scores.tolist(),
        "bboxes": found.bboxes.tolist(),
    }


def _config_of(weights: str | Path | None) -> str:
    if weights is None:
        raise ValueError("expected a model (config) or weights (checkpoint), got neither")
    meta = read_checkpoint(weights).get("meta")
    config = shipped_name(meta.get("config") if isinstance(meta, dict) else None)
    if config is None:
        raise CheckpointError(
            f"the checkpoint {weights} names no shipped config: pass its config as `model`, or "
            "convert the checkpoint with tools/model_converters/convert_glip.py"
        )
    return config


def _unique_names(images: Sequence[Image]) -> list[str]:
    """Return a unique file name without extension for each image."""
    names: list[str] = []
    taken: set[str] = set()
    for index, image in enumerate(images):
        stem = f"{index:08d}" if isinstance(image, np.ndarray) else Path(str(image)).stem
        tries = (f"{stem}_{number}" for number in count(1))
        name = next(name for name in chain([stem], tries) if name not in taken)
        taken.add(name)
        names.append(name)
    return names


def _rgb(image: Image) -> np.ndarray:
    bgr = array_to_bgr(image) if isinstance(image, np.ndarray) else read_image(image)
    return np.ascontiguousarray(bgr[..., ::-1])


def _save_json(result: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
