"""The last step of a pipeline: from arrays to the model's inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData

from glip.registry import TRANSFORMS
from glip.structures import DetDataSample

#: Key in the results -> field of the instances.
_FIELDS = {"gt_bboxes": "bboxes", "gt_bboxes_labels": "labels"}

DEFAULT_META_KEYS = (
    "img_id",
    "img_path",
    "ori_shape",
    "img_shape",
    "scale_factor",
    "flip",
    "flip_direction",
    "text",
    "custom_entities",
    "tokens_positive",
)


@TRANSFORMS.register_module()
class PackDetInputs(BaseTransform):
    """Pack an image, its prompt and its annotations for the model.

    Reads, where present, ``img`` (H, W, 3), ``gt_bboxes`` (G, 4), ``gt_bboxes_labels`` (G,),
    ``gt_ignore_flags`` (G,), the prompt (``text``, ``custom_entities``, ``tokens_positive``,
    ``caption_prompt``) and the meta information. Returns a new dictionary with

    - ``inputs``: the pixels, a contiguous tensor (3, H, W), BGR, uint8 unless loaded as float;
    - ``data_samples``: a :class:`~glip.structures.DetDataSample`. Its ``prompt`` is the parsed
      prompt, its ``gt_instances`` hold ``bboxes`` (G', 4), float32, and ``labels`` (G',), int64, of
      the boxes that are not flagged, and its ``ignored_instances`` those of the flagged ones.

    Args:
        meta_keys: what to keep as meta information, besides what the model and the metrics need
            (:data:`glip.structures.META_KEYS`); keys that the results lack are skipped.

    Raises:
        PromptError: the prompt cannot be parsed (on use). The message names the image.
        ValueError: ``img`` does not have three channels (on use).
    """

    def __init__(self, meta_keys: Sequence[str] = DEFAULT_META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        """Pack the results."""
        sample = DetDataSample.from_results(results, self.meta_keys)
        sample.gt_instances, sample.ignored_instances = _split_instances(results)
        inputs = {"inputs": _to_tensor(results["img"])} if "img" in results else {}
        return {**inputs, "data_samples": sample}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(meta_keys={self.meta_keys})"


def _to_tensor(image: np.ndarray) -> torch.Tensor:
    """Convert pixels (H, W, 3), maybe a flipped view, to a contiguous tensor (3, H, W)."""
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"expected img (height, width, 3), got {image.shape}; load it with color_type='color'"
        )
    image = np.require(image, requirements=["C", "W"])
    return torch.from_numpy(image).permute(2, 0, 1).contiguous()


def _split_instances(results: dict) -> tuple[InstanceData, InstanceData]:
    """Return the annotations that are not flagged to be ignored, and those that are."""
    wanted, ignored = InstanceData(), InstanceData()
    flags = results.get("gt_ignore_flags")
    for key, field in _FIELDS.items():
        if results.get(key) is None:
            continue
        values = results[key]
        skip = np.zeros(len(values), dtype=bool) if flags is None else np.asarray(flags, dtype=bool)
        wanted[field] = torch.from_numpy(values[~skip])
        ignored[field] = torch.from_numpy(values[skip])
    return wanted, ignored
