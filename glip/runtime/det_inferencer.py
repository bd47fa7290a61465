"""Detect in files, folders and arrays with an exported model; save predictions and drawn images."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from glip.apis.image_inputs import ImageInput, ImageInputs
from glip.apis.prompting import Texts, prompts_for
from glip.datasets.images import open_image
from glip.runtime.detector import Detections, Detector, TextCache
from glip.text import Prompt
from glip.utils.atomic_write import atomic_open, make_folder
from glip.utils.errors import ConfigError, ImageReadError
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_bool, check_int, check_number
from glip.visualization.crops import CropFolder, SavedCrops
from glip.visualization.draw import draw_detections
from glip.visualization.palette import RGB, label_color
from glip.visualization.style import DrawStyle

_logger = logging.getLogger("glip")


class DetInferencer:
    """Detect the objects that a prompt names, with an exported model.

    The calls and the results are those of :class:`glip.apis.DetInferencer`; options that need torch
    or a config do not exist. Text features are reused over images and calls.

    Args:
        folder: what ``glip export`` wrote.
        threads: number of threads, ``None`` for the runtime's choice.
        max_pixels: largest image, height times width, checked before it is decoded.
        max_bytes: largest file or download.
        style: how images are drawn.

    Raises:
        CheckpointError: the folder is no exported model, or damaged.
        DependencyError: a package is missing or too old.
        ConfigError: a limit is not an integer of 1 or more.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        threads: int | None = None,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
        style: DrawStyle | None = None,
    ):
        self._limits = ImageLimits(max_pixels, max_bytes)
        self.detector = Detector(folder, threads)
        self.text_cache = TextCache(self.detector)
        self.style = style or DrawStyle()

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 1,
        return_vis: bool = False,
        no_save_vis: bool = False,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
        print_result: bool = False,
        no_save_pred: bool = True,
        out_dir: str | Path = "",
        texts: Texts | None = None,
        custom_entities: bool = False,
        tokens_positive: Sequence | int | None = None,
        *,
        recursive: bool = False,
        score_thr: float | None = None,
        save_crops: bool = False,
    ) -> dict:
        """Detect; see :meth:`glip.apis.DetInferencer.__call__` for the arguments and the result.

        Raises:
            PromptError: there is no prompt, or it cannot be parsed or tokenized.
            ImageReadError: the only image cannot be read, or the folder has none.
            StorageError: the results cannot be saved.
            ConfigError: an option is invalid.
            TypeError: ``inputs`` is or holds something else.
        """
        check_int("batch_size", batch_size, low=1)
        check_number("pred_score_thr", pred_score_thr)
        check_number("score_thr", score_thr, none=True)
        for option, value in {
            **dict(return_vis=return_vis, no_save_vis=no_save_vis, draw_pred=draw_pred),
            **dict(print_result=print_result, no_save_pred=no_save_pred, recursive=recursive),
            **dict(save_crops=save_crops),
        }.items():
            check_bool(option, value)
        if save_crops and not out_dir:
            raise ConfigError("save_crops needs a folder: pass out_dir too")
        folder = Path(out_dir)
        images = ImageInputs(inputs if _is_lazy_safe(inputs) else list(inputs), recursive)
        assert images.count is not None
        prompts = prompts_for(
            images.count, texts, custom_entities=custom_entities, tokens_positive=tokens_positive
        )
        for prompt in dict.fromkeys(prompts):
            self.detector.chunk_prompt(prompt)  # an invalid one is reported before slow work
        predictions: list[dict] = []
        drawn: list[np.ndarray | None] = []
        names: list[str] = []
        files: list[list[Path]] = []
        records: list[dict] = []
        pairs = zip(images, prompts, strict=True)
        save_vis = bool(out_dir) and not no_save_vis
        save_pred = bool(out_dir) and not no_save_pred
        crop_folder = CropFolder(folder / "crops") if save_crops else None
        crops: list[SavedCrops] = []
        while batch := list(islice(pairs, batch_size)):
            for image, found, bgr in self._detect(batch, is_only=images.count == 1):
                names.append(_shown_name(image))
                files.append([])
                drawn.append(None)
                crops.append(SavedCrops([], 0))
                if isinstance(found, ImageReadError):
                    predictions.append({"error": str(found)})
                    records.append(predictions[-1])
                    continue
                assert bgr is not None
                predictions.append(found.to_dict(score_thr))
                prompt = prompts[len(predictions) - 1]
                record = self._record(names[-1], bgr, prompt, predictions[-1], score_thr)
                records.append(record)
                if save_pred:
                    files[-1].append(_save_json(folder, image.name, record))
                if crop_folder is not None:
                    crops[-1] = _save_crops(
                        crop_folder, image.name, bgr, predictions[-1], pred_score_thr
                    )
                if return_vis or save_vis:
                    rgb = self._draw(bgr, predictions[-1], draw_pred, pred_score_thr)
                    drawn[-1] = rgb if return_vis else None
                    if save_vis:
                        files[-1].append(_save_image(folder, image.name, rgb))
        if print_result:
            print(json.dumps(records))
        return {
            "predictions": predictions,
            "visualization": drawn if return_vis else None,
            "images": names,
            "files": files,
            **({"crops": crops} if save_crops else {}),
        }

    def _detect(
        self, batch: list[tuple[ImageInput, Prompt]], is_only: bool
    ) -> list[tuple[ImageInput, Detections | ImageReadError, np.ndarray | None]]:
        """Detect in a batch; an image that cannot be read gives its error."""
        pixels: list[np.ndarray | ImageReadError] = []
        for image, _ in batch:
            try:
                pixels.append(open_image(image.source, limits=self._limits))
            except ImageReadError as error:
                if is_only:
                    raise
                _logger.warning("skipped: %s", error)
                pixels.append(error)
        good = [index for index, each in enumerate(pixels) if isinstance(each, np.ndarray)]
        results: list[Any] = list(pixels)
        if good:
            encoded = self.detector.encode_images([results[index] for index in good])
            prompts = [self.text_cache.encode_text(batch[index][1]) for index in good]
            found = self.detector.detect(encoded, prompts)
            for index, each in zip(good, found, strict=True):
                results[index] = each
        return [
            (image, result, own if isinstance(own, np.ndarray) else None)
            for (image, _), result, own in zip(batch, results, pixels, strict=True)
        ]

    def _record(
        self, name: str, bgr: np.ndarray, prompt: Prompt, found: dict, score_thr: float | None
    ) -> dict:
        """Return what is saved of an image: scores of 4 decimals, boxes of 2."""
        height, width = bgr.shape[:2]
        return {
            "image": name,
            "width": width,
            "height": height,
            "prompt": prompt.caption,
            "model": self.detector.manifest.model,
            "score_thr": score_thr,
            **found,
            "scores": [round(score, 4) for score in found["scores"]],
            "bboxes": [[round(at, 2) for at in box] for box in found["bboxes"]],
            "presence": [round(score, 4) for score in found["presence"]],
        }

    def _draw(
        self, bgr: np.ndarray, found: dict, draw_pred: bool, pred_score_thr: float
    ) -> np.ndarray:
        """Return the RGB image with the detections of ``pred_score_thr`` or more."""
        scores = np.asarray(found["scores"], dtype=np.float64)
        kept = np.flatnonzero((scores >= pred_score_thr) & draw_pred)
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        boxes = np.asarray([found["bboxes"][index] for index in kept]).reshape(-1, 4)
        names = [found["label_names"][index] for index in kept]
        colors = [label_color(found["labels"][index]) for index in kept]
        if importlib.util.find_spec("matplotlib") is None:  # its font is missing
            return draw_plainly(rgb, boxes, names, colors, self.style)
        return draw_detections(rgb, boxes, names, scores[kept], colors, style=self.style)


def draw_plainly(
    rgb: np.ndarray,
    boxes: np.ndarray,
    names: Sequence[str],
    colors: Sequence[RGB],
    style: DrawStyle,
) -> np.ndarray:
    """Draw boxes (K, 4) and their names with Pillow's own font on a copy of an image (H, W, 3)."""
    image = PillowImage.fromarray(rgb)
    draw = ImageDraw.Draw(image)
    for box, name, color in zip(boxes.tolist(), names, colors, strict=True):
        draw.rectangle(box, outline=color, width=style.line_width or 2)
        if style.hide_labels:
            continue
        latin = name.encode("latin-1", "replace").decode("latin-1")  # what the font has
        draw.text((box[0] + 3, box[1] + 2), latin, color)
    return np.asarray(image)


def _is_lazy_safe(inputs: Any) -> bool:
    """Return whether inputs are no generator, whose number of images is not known."""
    return not hasattr(inputs, "__next__") or callable(getattr(inputs, "read", None))


def _shown_name(image: ImageInput) -> str:
    return str(image.source) if isinstance(image.source, (str, Path)) else image.name


def _save_json(folder: Path, name: str, record: dict) -> Path:
    content = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return _save(folder / "preds" / f"{name}.json", content)


def _save_image(folder: Path, name: str, rgb: np.ndarray) -> Path:
    is_png = max(rgb.shape[:2]) > 65500  # the longest side of a JPEG
    buffer = io.BytesIO()
    PillowImage.fromarray(rgb).save(buffer, "PNG" if is_png else "JPEG", quality=95)
    return _save(folder / "vis" / f"{name}{'.png' if is_png else '.jpg'}", buffer.getvalue())


def _save_crops(
    folder: CropFolder, name: str, bgr: np.ndarray, found: dict, score_thr: float
) -> SavedCrops:
    return folder.save(
        name,
        found["bboxes"],
        found["label_names"],
        [number for number, score in enumerate(found["scores"]) if score >= score_thr],
        (bgr.shape[0], bgr.shape[1]),
        lambda at: bgr[at[1] : at[3], at[0] : at[2], ::-1],
    )


def _save(path: Path, content: bytes) -> Path:
    make_folder(path.parent)
    with atomic_open(path) as file:
        file.write(content)
    return path
