"""Detect in files, folders and arrays; save predictions and visualizations.

Shapes: H x W pixels, K detections.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

from glip.apis.build import make_detector
from glip.apis.class_detection import Classes, ClassPrompt, with_class_limit
from glip.apis.failures import Failures
from glip.apis.image_detection import (
    DetectionRun,
    SlicedImages,
    WholeImages,
    at_scale,
    save_crops_of,
)
from glip.apis.image_inputs import ImageInputs, list_images
from glip.apis.inference import Image, check_prompts
from glip.apis.prompting import Texts, prompt_for_all, prompts_for
from glip.apis.results import ResultFolder, to_dict
from glip.classes.class_file import ClassFile
from glip.classes.reading import load_classes
from glip.models import GLIP, TextFeatureCache
from glip.slicing import Slicing
from glip.structures import DetDataSample
from glip.structures.export import to_record
from glip.utils.errors import ClassFileError, ConfigError, ImageReadError, PromptError, StorageError
from glip.utils.image_files import ImageLimits
from glip.utils.options import check_bool, check_int, check_number
from glip.visualization import DetLocalVisualizer, DrawStyle
from glip.visualization.crops import SavedCrops
from glip.visualization.local_visualizer import check_display

__all__ = ["DetInferencer", "list_images", "to_dict"]


class DetInferencer:
    """Detect the objects that a prompt names, with MMDetection's interface.

    Text features of prompts are reused over images and calls, while the model's weights stay the
    same. Threads may share an inferencer: calls that run at once give the results that they give
    one after the other.

    Args:
        model: a config file, the name of a shipped config, a config, or a detector. ``None`` for
            the config that the weights belong to.
        weights: a checkpoint in the format of microsoft/GLIP, of MMDetection or of this library; a
            file, a URL, or a name of published weights such as ``'glip_tiny_a'``. ``None`` with the
            name of a shipped config: its published ones.
        device: where to run; by default the first CUDA device if there is one.
        show_progress: show a progress bar for several images.
        max_pixels: largest image, height times width, checked before it is decoded; by default the
            config's, which by default is Pillow's limit of about 179 million.
        max_bytes: largest file or download; by default the config's, which by default is 512 MiB.
        style: how images are drawn; what it does not set is that of the config's visualizer.
        cfg_options: config values to override, by dotted name.
        classes: detect these classes instead of prompts of each call: a class file (see
            ``docs/label.md``), names, or a :class:`glip.classes.ClassFile`. A model that is built
            here then returns up to 1000 detections of their prompts.
        slicing: detect also in slices of each image, to find objects that are small in a large
            image; see :class:`glip.slicing.Slicing` and ``docs/large_images.md``.
        tta: test-time augmentation: detect in several views of each image and merge them, see
            :class:`glip.models.DetTTAModel`: the config's ``tta_pipeline`` and ``tta_model``, by
            default three scales, each as it is and flipped.

    Raises:
        ValueError: neither model nor weights are given.
        ClassFileError: the classes are invalid, or their calibration is not of this model, or of
            whole images at one scale.
        CheckpointError: the checkpoint cannot be read safely or does not fit the config.
        ConfigError: a limit is not an integer of 1 or more, the config's font is no font file, both
            ``slicing`` and ``tta`` are given, or the views cannot be made or merged.
    """

    def __init__(
        self,
        model: str | Path | Config | GLIP | None = None,
        weights: str | Path | None = None,
        device: str | torch.device | None = None,
        show_progress: bool = True,
        *,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
        style: DrawStyle | None = None,
        cfg_options: Mapping | None = None,
        classes: Classes | None = None,
        slicing: Slicing | None = None,
        tta: bool = False,
    ):
        if classes is not None and not isinstance(classes, ClassFile):
            classes = load_classes(classes)  # before the model is built
        if slicing is not None and not isinstance(slicing, Slicing):
            raise TypeError(f"expected slicing as a glip.slicing.Slicing, got {slicing!r:.100}")
        if slicing is not None and classes is not None and classes.calibration is not None:
            raise ClassFileError(
                f"{classes.path or 'the classes'}: the calibration is of whole images, and slices "
                "are of another scale: expected classes without a calibration, or no slicing"
            )
        check_bool("tta", tta)
        if tta and slicing is not None:
            raise ConfigError("expected slicing or tta, got both: choose one")
        if tta and classes is not None and classes.calibration is not None:
            raise ClassFileError(
                f"{classes.path or 'the classes'}: the calibration is of images at one scale, and "
                "test-time augmentation changes the scores: expected classes without a "
                "calibration, or no tta"
            )
        if classes is not None and not isinstance(model, GLIP):
            cfg_options = with_class_limit(cfg_options)
        self._limits = ImageLimits(max_pixels, max_bytes)
        self.model = make_detector(model, weights, device, cfg_options)
        self.cfg: Config = self.model.cfg
        self.show_progress = show_progress
        style = (style or DrawStyle()).over(self.cfg.get("visualizer"))
        self.visualizer = DetLocalVisualizer(**asdict(style))
        self._lock = threading.Lock()  # a window belongs to one thread
        self._text_cache = TextFeatureCache(self.model)
        self._classes = None if classes is None else ClassPrompt(classes, self.model)
        of_model = self._text_cache, self.cfg, self._limits
        self._images: WholeImages | SlicedImages
        if slicing is None:
            self._images = WholeImages(*of_model, tta=tta, show_progress=show_progress)
        else:
            self._images = SlicedImages(slicing, *of_model, show_progress=show_progress)

    def __call__(
        self,
        inputs: Image | Iterable[Image],
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
        *,
        recursive: bool = False,
        score_thr: float | None = None,
        save_crops: bool = False,
    ) -> dict:
        """Detect.

        An image that cannot be read is logged and skipped; if it is the only one, it is an error.
        The same holds for an image whose results cannot be saved. A disk that is full ends the run;
        what was saved before stays.

        Args:
            inputs: an image (a path, a URL, bytes, a file object, a Pillow image, a BGR array or an
                RGB tensor; see :mod:`glip.datasets.images`), or several: a folder, a pattern such
                as ``'photos/*.jpg'``, a list, or a generator, which is consumed lazily. A generator
                needs one prompt for all its images.
            batch_size: images per batch.
            return_vis: return the images with their detections drawn.
            show: show these in a window.
            wait_time: seconds to show it; 0 until a key is pressed.
            no_save_vis: save no drawn images.
            draw_pred: draw the detections.
            pred_score_thr: draw detections from this score on; predictions hold all, or those
                of ``score_thr``. With ``classes`` all that pass the thresholds are drawn.
            return_datasamples: return data samples rather than JSON-ready dicts.
            print_result: print the predictions as they are saved.
            no_save_pred: save no predictions.
            out_dir: where to save, images in ``vis``, predictions in ``preds`` and crops in
                ``crops``; nothing is saved without it.
            texts: the prompt, or one for each image; see :func:`glip.text.parse_prompt` and
                :func:`glip.apis.prompting.prompts_for`.
            custom_entities: texts are period-separated class names.
            tokens_positive: for each phrase of a sentence its character spans.
            recursive: also search the subfolders of a folder.
            score_thr: return, save and draw only detections of this score or more; ``None`` for
                all. With ``classes`` the threshold of those without one, ``None`` for the model's.
            save_crops: also save a crop of each detection of ``pred_score_thr`` or more, as
                ``crops/PHRASE/NAME_K.jpg``, where K is its index in the predictions; see
                :class:`glip.visualization.crops.CropFolder`.

        Returns:
            ``predictions``: for each image a dict with ``labels``, ``label_names``, ``scores``
            and ``bboxes`` (xyxy pixels of the image), best first, ``phrases``, the names of the
            prompt, and ``presence``, for each its best score in the image; or with ``error``. With
            ``classes`` also ``prompts``, and after a calibration ``probabilities`` and
            ``presence_probabilities``, see :func:`glip.structures.export.class_lists`; with
            ``slicing`` also ``slices``, see :func:`glip.structures.export.slice_report`;
            ``visualization``: with ``return_vis`` for each image an RGB array (H, W, 3), or
            ``None`` for one with an error; ``images``: the path of each, or the name that its
            results have; ``files``: for each the list of the files that were saved; and with
            ``save_crops`` ``crops``: for each a :class:`glip.visualization.crops.SavedCrops`.

            The saved predictions are those lists, scores rounded to 4 decimals and boxes to
            hundredths of a pixel, after ``image``, ``width``, ``height``, ``prompt``, ``model``
            (name of the config) and ``score_thr``.

        Raises:
            PromptError: there is no prompt, or it cannot be parsed or tokenized.
            ImageReadError: the only image cannot be read, or the folder has none.
            StorageError: the results cannot be saved.
            ConfigError: an option is invalid, ``show`` is set but there is no display, or
                ``save_crops`` without ``out_dir``.
            TypeError: ``inputs`` is or holds something else.
        """
        check_int("batch_size", batch_size, low=1)
        check_number("pred_score_thr", pred_score_thr)
        check_number("score_thr", score_thr, none=True)
        check_number("wait_time", wait_time, low=0)
        for option, value in {
            **dict(return_vis=return_vis, show=show, no_save_vis=no_save_vis, draw_pred=draw_pred),
            **dict(return_datasamples=return_datasamples, print_result=print_result),
            **dict(no_save_pred=no_save_pred, recursive=recursive, save_crops=save_crops),
        }.items():
            check_bool(option, value)
        if save_crops and not out_dir:
            raise ConfigError("save_crops needs a folder: pass out_dir too")
        if self._classes is not None:
            if texts is not None or custom_entities or tokens_positive is not None:
                raise PromptError(
                    "this inferencer detects the classes that it was made with: expected no prompt "
                    "in the call, or DetInferencer without classes"
                )
            texts, pred_score_thr = self._classes.prompt, 0.0
        images = ImageInputs(inputs, recursive)
        if images.count is None:
            prompts = [prompt_for_all(texts, custom_entities, tokens_positive)]
        else:
            prompts = prompts_for(
                images.count,
                texts,
                custom_entities=custom_entities,
                tokens_positive=tokens_positive,
            )
        self._text_cache.clear_if_changed()
        check_prompts(self._text_cache, prompts)
        if show:
            check_display()
        folder = None
        if out_dir and (save_crops or not (no_save_vis and no_save_pred)):
            folder = ResultFolder(
                out_dir,
                save_vis=not no_save_vis,
                save_pred=not no_save_pred,
                save_crops=save_crops,
            )
        draw = return_vis or show or (folder is not None and folder.save_vis)
        predictions: list[dict | DetDataSample] = []
        drawn: list[np.ndarray | None] = []
        records: list[dict] = []  # to print
        names: list[str] = []
        files: list[list[Path]] = []
        crops: list[SavedCrops] = []
        pairs = zip(images, repeat(prompts[0]) if images.count is None else prompts, strict=False)
        run = DetectionRun(
            count=images.count,
            batch_size=batch_size,
            with_pixels=draw or save_crops,
            select=lambda sample: self._select(sample, score_thr),
            min_score=score_thr if self._classes is None else None,  # each has its own
            failures=Failures(is_only=images.count == 1),
        )
        for result in self._images.detect(pairs, run):
            sample, name = result.found, result.image.name
            files.append([])
            crops.append(SavedCrops([], 0))
            if isinstance(sample, ImageReadError):
                predictions.append({"error": str(sample)})
                drawn.append(None)
                names.append(name)
                records.append({"error": str(sample)})
                continue
            names.append(sample.get("img_path") or name)
            predictions.append(sample if return_datasamples else to_dict(sample))
            record: dict = {}
            if print_result or (folder is not None and folder.save_pred):
                record = to_record(sample, model=self._model_name(), score_thr=score_thr)
                record["image"] = names[-1]
            if print_result:
                records.append(record)
            drawn_image = None
            if draw and result.pixels is not None:
                drawn_image = self.visualizer.draw_datasample(
                    result.pixels,
                    at_scale(sample, result.pixels.shape[:2]),
                    draw_gt=False,
                    draw_pred=draw_pred,
                    pred_score_thr=pred_score_thr,
                )
            if show and drawn_image is not None:
                with self._lock:
                    self.visualizer.show(drawn_image, win_name=name, wait_time=wait_time)
            if return_vis:
                drawn.append(drawn_image)
            if folder is not None:
                try:
                    files[-1] = folder.save(name, record, drawn_image)
                    if folder.crops is not None:
                        crops[-1] = save_crops_of(
                            result, folder.crops, pred_score_thr, self._limits
                        )
                except StorageError as error:
                    run.failures.not_saved(error)
        if not predictions:
            raise ImageReadError("expected images, got a generator without any")
        run.failures.summarize(len(predictions))
        if print_result:
            print(json.dumps(records))
        return {
            "predictions": predictions,
            "visualization": drawn if return_vis else None,
            "images": names,
            "files": files,
            **({"crops": crops} if save_crops else {}),
        }

    def _select(self, sample: DetDataSample, score_thr: float | None) -> DetDataSample:
        """Return a sample with the detections that are wanted."""
        if self._classes is not None:
            return self._classes.to_classes(sample, score_thr)
        return sample if score_thr is None else sample.filter(score_thr)

    def _model_name(self) -> str:
        """Return the name of the config, that of the class for a config that is no file."""
        return Path(self.cfg.filename).stem if self.cfg.filename else type(self.model).__name__
