"""Detecting in files, folders and arrays, with pictures and predictions saved.

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
    """Detect what a prompt names; in MMDetection's call shape.

    Args:
        model: a config file, the name of a shipped config, a config, or a detector. ``None`` for
            the config that the checkpoint names, if ``convert_glip.py`` wrote it.
        weights: a checkpoint in the format of microsoft/GLIP, of MMDetection or of this library; a
            file or an address. ``None`` with the name of a shipped config: the published one.
        device: where to run; by default the first CUDA device if there is one.
        show_progress: show a progress bar for several pictures.

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
                _logger.warning("no weights were given: detections of this detector mean nothing")
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

        A picture of several that cannot be read is reported and skipped; alone it is an error.

        Args:
            inputs: a picture (file, address or BGR array), a folder of pictures, or a list of
                pictures.
            batch_size: pictures that go through the model together.
            return_vis: return the drawn pictures.
            show: show each drawn picture in a window.
            wait_time: seconds to show it; 0 until a key is pressed.
            no_save_vis: save no pictures.
            draw_pred: draw the detections.
            pred_score_thr: draw detections from this score on; predictions hold all.
            return_datasamples: return data samples rather than JSON-ready dicts.
            print_result: print the predictions.
            no_save_pred: save no predictions.
            out_dir: where to save, pictures in ``vis`` and predictions in ``preds``; nothing is
                saved without it.
            texts: what to look for; see :func:`glip.text.parse_prompt` and
                :func:`glip.apis.prompting.prompts_for`.
            custom_entities: texts are names between points.
            tokens_positive: for each phrase of a sentence its ranges of characters.

        Returns:
            ``predictions``: for each picture a dict with ``labels``, ``label_names``, ``scores``
            and ``bboxes`` (xyxy pixels of the picture), best first, or with ``error``; and
            ``visualization``: with ``return_vis`` for each picture an RGB array (H, W, 3), or
            ``None`` for one with an error.

        Raises:
            PromptError: there is no prompt, or it cannot be looked for.
            ImageReadError: the only picture cannot be read, or the folder has none.
        """
        if batch_size < 1:
            raise ValueError(f"expected batch_size of 1 or more, got {batch_size}")
        pictures = list_images(inputs)
        prompts = prompts_for(
            len(pictures), texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        self._text_cache.clear_if_changed()
        check_prompts(self._text_cache, prompts)
        names = _output_names(pictures)
        draw = return_vis or show or (bool(out_dir) and not no_save_vis)
        predictions: list[dict | DetDataSample] = []
        drawn: list[np.ndarray | None] = []
        for start, samples in self._detect(pictures, prompts, batch_size):
            for index, sample in enumerate(samples, start):
                if isinstance(sample, ImageReadError):
                    predictions.append({"error": str(sample)})
                    drawn.append(None)
                    continue
                result = to_dict(sample)
                predictions.append(sample if return_datasamples else result)
                if out_dir and not no_save_pred:
                    _save_json(result, Path(out_dir, "preds", names[index] + ".json"))
                if draw:
                    save = bool(out_dir) and not no_save_vis
                    self.visualizer.add_datasample(
                        names[index],
                        _rgb(pictures[index]),
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
            print(json.dumps([p if isinstance(p, dict) else to_dict(p) for p in predictions]))
        return {"predictions": predictions, "visualization": drawn if return_vis else None}

    def _detect(
        self, pictures: Sequence[Image], prompts: Sequence, batch_size: int
    ) -> Iterator[tuple[int, list]]:
        """Yield the index of a batch's first picture and its samples or reading errors."""
        starts: Iterable[int] = range(0, len(pictures), batch_size)
        if self.show_progress and len(pictures) > batch_size:
            starts = tqdm(starts, desc="Detecting")
        for start in starts:
            items: list[dict | ImageReadError] = []
            batch = zip(pictures[start : start + batch_size], prompts[start:], strict=False)
            for picture, prompt in batch:
                try:
                    items.append(prepare(picture, prompt, self._pipeline(picture)))
                except ImageReadError as error:
                    if len(pictures) == 1:
                        raise
                    _logger.warning("skipped: %s", error)
                    items.append(error)
            good = [item for item in items if isinstance(item, dict)]
            found = iter(detect_batch(good, self._text_cache) if good else ())
            yield start, [next(found) if isinstance(item, dict) else item for item in items]

    def _pipeline(self, picture: Image) -> Compose:
        from_array = isinstance(picture, np.ndarray)
        if from_array not in self._pipelines:
            self._pipelines[from_array] = make_pipeline(self.cfg, from_array=from_array)
        return self._pipelines[from_array]


def list_images(inputs: Image | Sequence[Image]) -> list[Image]:
    """Return the pictures of a file, a folder (by name, its subfolders not), an array or a list.

    Raises:
        ImageReadError: there are none.
    """
    if isinstance(inputs, np.ndarray):
        return [inputs]
    if not isinstance(inputs, (str, Path)):
        pictures = list(inputs)
        if not pictures:
            raise ImageReadError("expected pictures, got an empty list")
        return pictures
    folder = Path(inputs)
    if not folder.is_dir():
        return [inputs]
    files = sorted(filter(is_image_file, folder.iterdir()))
    if not files:
        raise ImageReadError(
            f"the folder {folder} has no pictures: expected files that end in "
            + ", ".join(IMAGE_EXTENSIONS)
        )
    return list(files)


def to_dict(sample: DetDataSample) -> dict[str, list]:
    """Turn a data sample's detections into lists that JSON can hold."""
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


def _output_names(pictures: Sequence[Image]) -> list[str]:
    """A file name without ending for each picture, no two alike."""
    names: list[str] = []
    taken: set[str] = set()
    for index, picture in enumerate(pictures):
        stem = f"{index:08d}" if isinstance(picture, np.ndarray) else Path(str(picture)).stem
        tries = (f"{stem}_{number}" for number in count(1))
        name = next(name for name in chain([stem], tries) if name not in taken)
        taken.add(name)
        names.append(name)
    return names


def _rgb(picture: Image) -> np.ndarray:
    bgr = array_to_bgr(picture) if isinstance(picture, np.ndarray) else read_image(picture)
    return np.ascontiguousarray(bgr[..., ::-1])


def _save_json(result: dict, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
