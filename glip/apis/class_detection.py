"""Detect the classes of a class file with a model.

Shapes: C classes, P phrases, K detections.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from glip.apis.build import config_name
from glip.apis.pipelines import find_test_pipeline
from glip.apis.results import default_score_thr
from glip.classes.class_file import ClassFile
from glip.classes.reading import load_classes
from glip.classes.results import (
    PhraseDetections,
    apply_classes,
    presence_probabilities,
    probabilities,
)
from glip.engine.digests import weights_digest
from glip.models import GLIP
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ClassFileError

#: Detections per image before the prompts of a class are combined: more than the official 100,
#: which synonyms and competing phrases would share.
MAX_PER_IMG = 1000
#: Transforms that do not change the scale of an image.
_NOT_SCALING = ("Load", "Pack", "Random", "GTBox")


def binding_of(model: GLIP, classes: ClassFile) -> dict[str, str | int | float]:
    """Return what the scores of classes depend on, as a calibration stores it.

    Raises:
        ConfigError: the model's config has no test pipeline.
    """
    postprocess = model.bbox_head.postprocess
    # The tokenizer is loaded on its first use; its vocabulary is part of the weights from then.
    getattr(model.language_model, "tokenizer", None)
    return {
        "weights": weights_digest(model),
        "classes": classes.calibrated_digest(),
        "chunked size": model.chunked_size,
        "image scale": _image_scale(model.cfg),
        "score threshold of candidates": postprocess.score_thr,
        "IoU of NMS": postprocess.iou_threshold,
    }


def check_calibration(model: GLIP, classes: ClassFile) -> None:
    """Check that the calibration of classes, if there is one, is valid for a model.

    Raises:
        ClassFileError: it is not; the message names what differs.
    """
    if classes.calibration is None:
        return
    differing = classes.calibration.difference(binding_of(model, classes))
    if differing:
        raise ClassFileError(
            f"{classes.path or 'the classes'}: the calibration was made with other {differing}, "
            f"so it is not valid for {config_name(model.cfg)}: calibrate again with `glip "
            "calibrate`, or remove `calibration` and the thresholds"
        )


def with_class_limit(cfg_options: Mapping | None) -> dict[str, Any]:
    """Return the options of a model that detects classes: more detections per image."""
    return {"model.test_cfg.max_per_img": MAX_PER_IMG, **(cfg_options or {})}


#: Classes: a class file or a dictionary of its content, names as in ``'bench . car .'``, a
#: list of names, or read ones.
Classes = str | os.PathLike[str] | Sequence[str] | Mapping[str, Any] | ClassFile


class ClassPrompt:
    """A class file as the prompt of a model.

    Args:
        classes: the classes; see :func:`glip.classes.load_classes`.
        model: the detector.

    Raises:
        ClassFileError: the classes are invalid, or their calibration is of other weights, classes
            or another scale.
    """

    def __init__(self, classes: Classes, model: GLIP) -> None:
        self.classes = classes if isinstance(classes, ClassFile) else load_classes(classes)
        check_calibration(model, self.classes)
        self.prompt = self.classes.prompt()
        self._default = default_score_thr(model.cfg)

    def to_classes(self, sample: DetDataSample, score_thr: float | None = None) -> DetDataSample:
        """Return a sample with the detections of classes in place of those of phrases.

        ``pred_instances`` has ``prompts``, the phrase of each box, and after a calibration
        ``probabilities``; ``presence`` has a score for each class, and after a calibration
        ``probabilities``. Labels are indices of the class names. What has no probability has NaN.

        Args:
            sample: with the detections of :attr:`prompt`.
            score_thr: threshold of classes without one, if the file has none either; ``None`` for
                that of the model's config.
        """
        classes = self.classes
        thresholds = classes.thresholds(self._default if score_thr is None else score_thr)
        found = phrase_detections(sample.pred_instances, sample.presence, sample.ori_shape)
        result = apply_classes(classes, found, thresholds)
        kept, names, phrases = result.kept, classes.names, classes.phrases
        instances = InstanceData(
            bboxes=torch.from_numpy(kept.boxes).float(),
            scores=torch.from_numpy(kept.scores).float(),
            labels=torch.from_numpy(kept.labels),
            label_names=[names[label] for label in kept.labels.tolist()],
            prompts=[phrases[phrase] for phrase in kept.phrases.tolist()],
        )
        presence = InstanceData(scores=torch.from_numpy(result.presence).float(), label_names=names)
        _add_probabilities(instances, probabilities(classes, kept))
        _add_probabilities(presence, presence_probabilities(classes, result.presence))
        whole = sample.new()
        whole.pred_instances, whole.presence = instances, presence
        whole.prompt = Prompt.from_class_names(names, allow_blank=True)
        return whole


def phrase_detections(
    found: InstanceData, presence: InstanceData, shape: tuple[int, int]
) -> PhraseDetections:
    """Return the detections of phrases in an image of (height, width) pixels as arrays."""
    return PhraseDetections.of_image(
        found.bboxes.double().cpu().numpy(),
        found.scores.double().cpu().numpy(),
        found.labels.cpu().numpy(),
        presence.scores.double().cpu().numpy(),
        shape,
    )


def _add_probabilities(instances: InstanceData, values: Sequence[float | None] | None) -> None:
    if values is not None:
        instances.probabilities = torch.tensor(
            [float("nan") if value is None else value for value in values], dtype=torch.float32
        )


def _image_scale(cfg: Config) -> str:
    """Return the steps of the test pipeline that change the size of an image, as a text."""
    steps = []
    for step in find_test_pipeline(cfg):
        name = str(getattr(step["type"], "__name__", step["type"])).split(".")[-1]
        if not name.startswith(_NOT_SCALING):
            options = {key: value for key, value in sorted(step.items()) if key != "type"}
            steps.append(f"{name}({', '.join(f'{key}={each}' for key, each in options.items())})")
    return " ".join(steps)
