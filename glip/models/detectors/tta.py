"""Test-time augmentation: detect in several views of an image and merge what is found.

Shapes: B images, K detections, P phrases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor
from torchvision.ops import batched_nms

from glip.models.detectors.encoded_prompt import EncodedPrompt
from glip.models.detectors.glip import GLIP
from glip.models.detectors.samples import read_prompt
from glip.models.options import check_nms
from glip.registry import MODELS, build_part
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.text.mirror import mirror_text
from glip.utils.errors import ConfigError
from glip.utils.options import check_int, check_keys, check_mapping

#: Default of ``tta_cfg.nms.iou_threshold``, as in MMDetection.
IOU_THRESHOLD = 0.5

_logger = logging.getLogger("glip")


@MODELS.register_module()
class DetTTAModel(BaseTTAModel):
    """Detect in the views of :class:`~glip.datasets.transforms.TestTimeAug`, and merge.

    The detections of all views are turned back to the original image, and NMS keeps of the boxes of
    a phrase that overlap the best one. The presence of a phrase is its best one of all views.

    Where a prompt says "left" or "right", views that are flipped horizontally are left out, with a
    warning: in them the sides are swapped. A view whose prompt was swapped too
    (``RandomFlip(swap_left_right=True)``) is kept.

    Args:
        module: the detector, or its config.
        tta_cfg: ``nms``, as in a detector's ``test_cfg`` (default: an ``iou_threshold`` of 0.5),
            and ``max_per_img`` (default: that of the detector).

    Raises:
        ConfigError: an option is unknown or invalid, or the detector is no GLIP.
    """

    def __init__(self, module: GLIP | dict, tta_cfg: dict | None = None) -> None:
        check_tta_cfg(tta_cfg)
        if isinstance(module, Mapping):
            module = build_part(MODELS, module, "tta_model.module")
        if not isinstance(module, GLIP):
            raise ConfigError(
                f"DetTTAModel merges detections of a GLIP, got {type(module).__name__}: "
                "remove --tta, or use a config of configs/glip"
            )
        super().__init__(module)
        cfg = tta_cfg or {}
        self.iou_threshold = (cfg.get("nms") or {}).get("iou_threshold", IOU_THRESHOLD)
        self.max_per_img = cfg.get("max_per_img", module.bbox_head.postprocess.max_per_img)
        self._has_warned = False

    def test_step(
        self, data: dict, encode_prompt: Callable[[Prompt], EncodedPrompt] | None = None
    ) -> list[DetDataSample]:
        """Detect in B images.

        Args:
            data: ``inputs`` and ``data_samples``, for each view a list of B.
            encode_prompt: see :meth:`GLIP.predict`.

        Returns:
            For each image the data sample of its first view that is not flipped, with the merged
            ``pred_instances`` and ``presence``.

        Raises:
            ConfigError: the images have no views, or all are flipped and the prompt says "left" or
                "right".
        """
        views = data["data_samples"]
        if not views or not isinstance(views[0], Sequence):
            raise ConfigError(
                "expected several views of each image: the pipeline of test-time augmentation "
                "ends with dict(type='TestTimeAug', transforms=[...])"
            )
        found: list[list[DetDataSample]] = [[] for _ in views[0]]
        wanted = [self._wanted_views(own) for own in zip(*views, strict=True)]
        for number, (inputs, samples) in enumerate(zip(data["inputs"], views, strict=True)):
            rows = [row for row in range(len(samples)) if number in wanted[row]]
            if not rows:
                continue
            part = {
                "inputs": [inputs[row] for row in rows],
                "data_samples": [samples[row] for row in rows],
            }
            for row, sample in zip(rows, self.module.test_step(part, encode_prompt), strict=True):
                found[row].append(sample)
        return self.merge_preds(found)

    def merge_preds(
        self, data_samples_list: Sequence[Sequence[DetDataSample]]
    ) -> list[DetDataSample]:
        """Merge the detections of each image's views.

        Args:
            data_samples_list: for each image its views.
        """
        return [self._merge(views) for views in data_samples_list]

    def _wanted_views(self, views: Sequence[DetDataSample]) -> list[int]:
        """Return the indices of the views of an image in which its prompt is right."""
        prompts = [read_prompt(view) for view in views]
        reference = prompts[_first_unmirrored(views)]
        if mirror_text(reference.caption) == reference.caption:
            return list(range(len(views)))
        wanted = [
            index
            for index, view in enumerate(views)
            if not _is_mirrored(view) or prompts[index] != reference
        ]
        if not any(not _is_mirrored(views[index]) for index in wanted):
            raise ConfigError(
                f"the prompt {reference.caption[:60]!r} says left or right and every view is "
                "flipped horizontally: add dict(type='RandomFlip', prob=0.0) to the views"
            )
        if len(wanted) < len(views) and not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "a prompt says left or right, which a horizontal flip swaps: such views of its "
                "image are left out (%d of %d)",
                len(views) - len(wanted),
                len(views),
            )
        return wanted

    def _merge(self, views: Sequence[DetDataSample]) -> DetDataSample:
        parts = [view.pred_instances for view in views]
        boxes = torch.cat([unflip(view.pred_instances.bboxes, view) for view in views])
        scores = torch.cat([part.scores for part in parts])
        labels = torch.cat([part.labels for part in parts])
        # Public boxes are continuous: their IoU is the official one, with + 1 in width and height.
        keep = batched_nms(boxes.double(), scores.double(), labels, self.iou_threshold)
        keep = keep[: self.max_per_img]
        merged = views[_first_unmirrored(views)]
        names = list(merged.presence.label_names)
        merged.pred_instances = InstanceData(
            bboxes=boxes[keep],
            scores=scores[keep],
            labels=labels[keep],
            label_names=[names[label] for label in labels[keep].tolist()],
        )
        presence = torch.stack([view.presence.scores for view in views]).amax(dim=0)
        merged.presence = InstanceData(scores=presence, label_names=names)
        return merged


def check_tta_cfg(tta_cfg: Any) -> None:
    """Check the ``tta_cfg`` of a :class:`DetTTAModel`.

    Raises:
        ConfigError: an option is unknown or invalid.
    """
    options = check_mapping("tta_model.tta_cfg", tta_cfg, none=True) or {}
    check_keys("tta_model.tta_cfg", options, ("nms", "max_per_img"))
    check_int("tta_model.tta_cfg.max_per_img", options.get("max_per_img", 1), low=1)
    check_nms("tta_model.tta_cfg.nms", options.get("nms"))


def unflip(bboxes: Tensor, sample: DetDataSample) -> Tensor:
    """Return boxes of a flipped view in the original image.

    In the network's input of w pixels a flip turns the inclusive box (x1, x2) to (w - 1 - x2,
    w - 1 - x1). A box of the original image is that divided by the scale s, with 1 added to x2: so
    x1 becomes (w - 1) / s + 1 - x2, and x2 becomes (w - 1) / s + 1 - x1.

    Args:
        bboxes: (K, 4), xyxy pixels of the flipped image at its original size.
        sample: the view: ``flip``, ``flip_direction``, ``img_shape`` and ``scale_factor``.
    """
    if not sample.get("flip", False):
        return bboxes
    (height, width), (scale_x, scale_y) = sample.img_shape[:2], sample.get("scale_factor", (1, 1))
    x1, y1, x2, y2 = bboxes.unbind(dim=1)
    if sample.flip_direction in ("horizontal", "diagonal"):
        edge = (width - 1) / scale_x + 1
        x1, x2 = edge - x2, edge - x1
    if sample.flip_direction in ("vertical", "diagonal"):
        edge = (height - 1) / scale_y + 1
        y1, y2 = edge - y2, edge - y1
    return torch.stack([x1, y1, x2, y2], dim=1)


def _is_mirrored(view: DetDataSample) -> bool:
    """Return whether left and right are swapped in a view."""
    return bool(view.get("flip", False)) and view.flip_direction != "vertical"


def _first_unmirrored(views: Sequence[DetDataSample]) -> int:
    """Return the index of the first view that is not flipped at all, else not mirrored, else 0."""
    rank = [(_is_mirrored(view), bool(view.get("flip", False))) for view in views]
    return rank.index(min(rank))
