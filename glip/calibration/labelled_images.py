"""Read labelled images, and detect the phrases of a class file in them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from glip.apis.class_detection import phrase_detections
from glip.apis.inference import check_prompts, detect_batch, prepare
from glip.apis.pipelines import make_pipeline
from glip.calibration.calibrating import LabelledImages
from glip.calibration.matching import ImageTruth
from glip.classes.class_file import ClassFile
from glip.datasets.image_sizes import check_sizes, differs, file_size
from glip.evaluation.ground_truth import GroundTruth, load_ground_truth
from glip.models import GLIP, TextFeatureCache
from glip.utils.errors import DataError, ImageReadError
from glip.utils.messages import shorten

_logger = logging.getLogger("glip")

#: Fewer images allow neither folds nor an interval.
MIN_IMAGES = 5


def read_labels(path: str, folder: str | Path, classes: ClassFile) -> GroundTruth:
    """Read the annotations of labelled images, and check that the images exist.

    Args:
        path: annotation file in COCO's format; its categories have the names of the classes, and
            every object of them has to be annotated.
        folder: of the images.
        classes: the classes.

    Raises:
        AnnotationFileError: the file is invalid, or lacks the classes, or most images have another
            size than it says.
        DataError: there are fewer than :data:`MIN_IMAGES` images, or one does not exist, or none
            has a box.
    """
    truth = load_ground_truth(path, classes.names)
    images = truth.file.images
    if len(images) < MIN_IMAGES:
        raise DataError(
            f"'{path}' has {len(images)} images: expected {MIN_IMAGES} or more, about "
            "50 with each class and some without it"
        )
    missing = [each for each in images if not os.path.isfile(_path(folder, each))]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(images)} images of '{path}' do not exist, for "
            f"example '{_path(folder, missing[0])}': expected --images as their folder"
        )
    boxes = sum(int((~each.crowd).sum()) for each in map(partial(_truth_of, truth), images))
    if not boxes:
        raise DataError(
            f"'{path}' has no annotated box of {shorten(list(classes.names))}, apart from crowds: "
            "expected about 50 images with each class"
        )
    _check_sizes(path, folder, images)
    return truth


def _check_sizes(path: str, folder: str | Path, images: Sequence[dict[str, Any]]) -> None:
    """Check that the boxes are of images of this size; see :func:`check_sizes`."""
    stated = [
        (_path(folder, each), (each.get("height", 0), each.get("width", 0))) for each in images
    ]
    for file, size in stated:
        actual = file_size(file) if all(size) else None
        if actual is not None and differs(actual, size):
            check_sizes(stated, (file, actual, size), path)
            return


def detect_in_labelled(
    model: GLIP, classes: ClassFile, truth: GroundTruth, folder: str | Path
) -> LabelledImages:
    """Detect the phrases of a class file in labelled images, one by one.

    Images that cannot be read are logged and left out.

    Raises:
        PromptError: a phrase cannot be tokenized.
        ImageReadError: none of the images can be read.
    """
    cache, prompt = TextFeatureCache(model), classes.prompt()
    check_prompts(cache, [prompt])
    pipeline = make_pipeline(model.cfg, from_array=False)
    names, found, truths = [], [], []
    for image in tqdm(truth.file.images, desc="Detecting", unit="image", dynamic_ncols=True):
        try:
            item = prepare(_path(folder, image), prompt, pipeline)
        except ImageReadError as error:
            _logger.warning("left out: %s", error)
            continue
        (sample,) = detect_batch([item], cache)
        found.append(phrase_detections(sample.pred_instances, sample.presence, sample.ori_shape))
        truths.append(_truth_of(truth, image))
        names.append(str(image["file_name"]))
    if len(names) < MIN_IMAGES:
        raise ImageReadError(
            f"{len(names)} of {len(truth.file.images)} labelled images can be read: expected "
            f"{MIN_IMAGES} or more"
        )
    return LabelledImages(names, found, truths)


def _path(folder: str | Path, image: dict[str, Any]) -> str:
    return os.path.join(folder, str(image.get("file_name")))


def _truth_of(truth: GroundTruth, image: dict[str, Any]) -> ImageTruth:
    labels = {key: label for label, key in enumerate(truth.category_ids) if key is not None}
    own = [each for each in truth.file.annotations[image["id"]] if each["category_id"] in labels]
    xywh = np.array([each["bbox"] for each in own], dtype=np.float64).reshape(-1, 4)
    return ImageTruth(
        np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        np.array([labels[each["category_id"]] for each in own], dtype=np.int64),
        np.array([bool(each["iscrowd"]) for each in own], dtype=bool),
    )
