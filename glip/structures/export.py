"""Filter the detections of a data sample, and convert them to the formats of other libraries.

The methods of :class:`glip.structures.DetDataSample` call these functions. Optional libraries are
imported where they are used. Shapes: H x W pixels, K detections.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData

from glip.registry import TRANSFORMS, build_part
from glip.utils.errors import DataError, DependencyError
from glip.utils.messages import shorten
from glip.utils.options import check_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas
    import PIL.Image
    import supervision

#: Decimals of boxes (pixels) and scores in files.
BOX_DECIMALS = 2
SCORE_DECIMALS = 4


def found_in(sample: BaseDataElement) -> InstanceData:
    """Return the detections of a data sample.

    Raises:
        DataError: it has none, because nothing was detected in it yet.
    """
    found = sample.get("pred_instances")
    if found is None:
        raise DataError(
            "the data sample has no detections (pred_instances): expected one that a detector "
            "returned"
        )
    return found


def filter_instances(found: InstanceData, score_thr: float) -> InstanceData:
    """Return the instances with a score of ``score_thr`` or more.

    Raises:
        ConfigError: ``score_thr`` is not a finite number.
    """
    check_number("score_thr", score_thr)
    if not len(found):  # mmengine does not index empty instances
        return found
    # In double precision, as the scores are compared after they were written to a file.
    return found[torch.as_tensor(found.scores).double() >= score_thr]


def to_record(sample: BaseDataElement, **described: Any) -> dict[str, Any]:
    """Return the image, the prompt and the detections as JSON-ready values.

    Scores are rounded to 4 decimals, boxes to hundredths of a pixel.

    Args:
        sample: the data sample.
        described: more values to write before the detections.

    Returns:
        ``image`` (path, ``None`` for an image that is no file), ``width``, ``height``, ``prompt``,
        ``described``, and the lists ``labels``, ``label_names``, ``scores`` and ``bboxes`` (xyxy
        pixels); then, unless the sample lacks them, :func:`presence_lists`, :func:`class_lists` and
        :func:`slice_report`.
    """
    found = found_in(sample)
    height, width = _image_size(sample)
    prompt = sample.get("prompt")
    return {
        "image": sample.get("img_path"),
        "width": width,
        "height": height,
        "prompt": prompt.caption if prompt is not None else sample.get("text"),
        **described,
        "labels": found.labels.tolist(),
        "label_names": list(found.label_names),
        "scores": [round(score, SCORE_DECIMALS) for score in found.scores.tolist()],
        "bboxes": [[round(at, BOX_DECIMALS) for at in box] for box in found.bboxes.tolist()],
        **presence_lists(sample, SCORE_DECIMALS),
        **class_lists(sample),
        **slice_report(sample),
    }


def presence_lists(sample: BaseDataElement, decimals: int | None = None) -> dict[str, list]:
    """Return ``phrases``, the names of a prompt, and ``presence``, the score of each.

    Args:
        sample: the data sample; without presence the result is empty.
        decimals: round scores to so many; ``None`` for no rounding.
    """
    presence = sample.get("presence")
    if presence is None:
        return {}
    scores = presence.scores.tolist()
    if decimals is not None:
        scores = [round(score, decimals) for score in scores]
    return {"phrases": list(presence.label_names), "presence": scores}


def class_lists(sample: BaseDataElement) -> dict[str, list]:
    """Return what detections by a class file have besides: see ``docs/calibrate.md``.

    Returns:
        ``prompts``, the phrase of each detection, and after a calibration ``probabilities`` of the
        detections and ``presence_probabilities`` of the classes; ``None`` for a class without.
    """
    found, presence = found_in(sample), sample.get("presence")
    lists: dict[str, list] = {}
    if "prompts" in found:
        lists["prompts"] = list(found.prompts)
    if "probabilities" in found:
        lists["probabilities"] = _known(found.probabilities)
    if presence is not None and "probabilities" in presence:
        lists["presence_probabilities"] = _known(presence.probabilities)
    return lists


def slice_report(sample: BaseDataElement) -> dict[str, dict[str, int | float]]:
    """Return what slicing did, for a sample of a detection in slices.

    Returns:
        ``slices``: ``count``, ``size`` (pixels) and ``overlap`` of the slices, and ``added``, the
        number of detections that were not found in the whole image alone (no box of the same
        label with an IoU of 0.5).
    """
    slices = sample.get("slices")
    return {} if slices is None else {"slices": dict(slices)}


def _known(values: torch.Tensor) -> list[float | None]:
    return [None if np.isnan(value) else round(value, SCORE_DECIMALS) for value in values.tolist()]


def to_coco(
    sample: BaseDataElement,
    image_id: int | None = None,
    category_ids: Sequence[int] | None = None,
) -> dict[str, list[dict]]:
    """Return the detections as a COCO data set of one image.

    Raises:
        DataError: ``category_ids`` has fewer ids than the prompt has names.
    """
    found = found_in(sample)
    labels, boxes = found.labels.tolist(), _boxes(found)
    names = _class_names(sample, found)
    ids = list(category_ids) if category_ids is not None else [n + 1 for n in range(len(names))]
    if len(ids) < len(names):
        raise DataError(f"expected category_ids for {len(names)} class names, got {len(ids)}")
    image_id = sample.get("img_id", 0) if image_id is None else image_id
    height, width = _image_size(sample)
    file_name = Path(sample.get("img_path") or "").name
    annotations = []
    for number, (label, box, score) in enumerate(
        zip(labels, boxes.tolist(), found.scores.tolist(), strict=True), start=1
    ):
        x1, y1, x2, y2 = box
        bbox = [x1, y1, x2 - x1, y2 - y1]
        annotations.append(
            dict(
                id=number,  # from 1: for pycocotools, 0 is no annotation
                image_id=image_id,
                category_id=ids[label],
                bbox=[round(value, BOX_DECIMALS) for value in bbox],
                area=round(bbox[2] * bbox[3], BOX_DECIMALS),
                iscrowd=0,
                score=round(score, SCORE_DECIMALS),
            )
        )
    return dict(
        images=[dict(id=image_id, file_name=file_name, width=width, height=height)],
        categories=[dict(id=id_, name=name) for id_, name in zip(ids, names, strict=False)],
        annotations=annotations,
    )


def to_supervision(sample: BaseDataElement) -> supervision.Detections:
    """Return the detections as ``supervision.Detections`` with their class names.

    Raises:
        DependencyError: supervision is not installed.
    """
    found = found_in(sample)
    return _library("supervision", "to_supervision").Detections(
        xyxy=_boxes(found).astype(np.float32),
        confidence=_numpy(found.scores).astype(np.float32),
        class_id=_numpy(found.labels).astype(int),
        data={"class_name": np.array(list(found.label_names), dtype=str)},
    )


def to_pandas(sample: BaseDataElement) -> pandas.DataFrame:
    """Return the detections as a table, one row each.

    Raises:
        DependencyError: pandas is not installed.
    """
    found = found_in(sample)
    boxes = _boxes(found)
    return _library("pandas", "to_pandas").DataFrame(
        {
            "label": _numpy(found.labels).astype(int),
            "label_name": list(map(str, found.label_names)),
            "score": _numpy(found.scores),
            **{name: boxes[:, at] for at, name in enumerate(("x1", "y1", "x2", "y2"))},
        }
    )


def plot(
    sample: BaseDataElement, image: np.ndarray | None = None, font: str | Path | None = None
) -> PIL.Image.Image:
    """Draw the detections on the image.

    Raises:
        DataError: the image is needed, or has another size.
        ImageReadError: the image cannot be read.
    """
    from PIL import Image

    from glip.visualization import DetLocalVisualizer

    found_in(sample)
    size = _image_size(sample)
    if image is None:
        if not sample.get("img_path"):
            raise DataError(
                "the data sample does not know the file of its image: pass the image, "
                "plot(image), as an RGB array"
            )
        load = build_part(TRANSFORMS, dict(type="LoadImageFromFile", imdecode_backend="pillow"))
        image = load({"img_path": sample.img_path})["img"][..., ::-1]
    elif not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3:
        shown = image.shape if isinstance(image, np.ndarray) else shorten(image)
        raise DataError(f"expected the image as an RGB array (H, W, 3), got {shown}")
    if size != (None, None) and image.shape[:2] != size:
        raise DataError(
            f"expected the image with {size[1]} x {size[0]} pixels, in which the objects were "
            f"detected, got {image.shape[1]} x {image.shape[0]} pixels"
        )
    drawn = DetLocalVisualizer(font=font).draw_datasample(
        np.ascontiguousarray(image), sample, draw_gt=False, pred_score_thr=-np.inf
    )
    return Image.fromarray(drawn)


def _library(name: str, method: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyError(f"{method} needs {name}: pip install {name} ({error})") from None


def _image_size(sample: BaseDataElement) -> tuple[int, int] | tuple[None, None]:
    """Return height and width of the image in pixels, if the sample knows them."""
    shape = sample.get("ori_shape")
    return (None, None) if shape is None else (int(shape[0]), int(shape[1]))


def _class_names(sample: BaseDataElement, found: InstanceData) -> list[str]:
    """Return the names of labels 0, 1, ...: those of the prompt, else of the detections."""
    if sample.get("prompt") is not None:
        return list(sample.prompt.names)
    known = dict(zip(found.labels.tolist(), found.label_names, strict=True))
    return [str(known.get(label, f"class {label}")) for label in range(max(known, default=-1) + 1)]


def _boxes(found: InstanceData) -> np.ndarray:
    return _numpy(found.bboxes).reshape(-1, 4)


def _numpy(values: Any) -> np.ndarray:
    """Convert a tensor of any device and dtype, or an array, to double precision."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()  # numpy has no bfloat16
    return np.asarray(values, dtype=np.float64)
