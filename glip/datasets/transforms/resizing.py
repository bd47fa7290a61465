"""Transforms that resize an image and its boxes.

Sizes and scales are (width, height) as in mmcv; ``img_shape`` is (height, width). The coordinates
of annotated boxes are multiplied by the scale, whether or not the boxes are inclusive
(:class:`~glip.datasets.transforms.GTBoxSubOne`), as in the official code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import RandomChoiceResize as MMCVRandomChoiceResize
from mmcv.transforms import Resize as MMCVResize

from glip.registry import TRANSFORMS
from glip.utils.errors import ConfigError
from glip.utils.image_sizes import official_size
from glip.utils.messages import shorten
from glip.utils.options import check_choice, check_number

#: Pixels of a resized image: as many as Pillow decodes of a file by default.
MAX_PIXELS = 178_956_970


@TRANSFORMS.register_module()
class Resize(MMCVResize):
    """Resize an image and its boxes by mmcv's rule.

    Reads ``img`` (H, W, 3) and, if present, ``gt_bboxes`` (G, 4). Writes both, ``img_shape``,
    ``scale_factor`` (new width / width, new height / height), ``scale`` and ``keep_ratio``.

    With ``keep_ratio`` the image becomes as large as fits in ``scale``: the long side is at most
    the larger, the short side at most the smaller of the two numbers, both rounded. Without it, the
    image becomes exactly ``scale``. Every side is at least one pixel long.

    Args:
        scale: (width, height), or one number for both.
        scale_factor: Factor of width and height, if ``scale`` is not given.
        keep_ratio: Keep the aspect ratio.
        clip_object_border: Clip the boxes to the new image, [0, width] x [0, height].
        backend: ``'cv2'``, or ``'pillow'``, which is antialiased and requires uint8.
        interpolation: ``'bilinear'`` or another name of :func:`mmcv.imresize`.
    """

    def __init__(
        self,
        scale: int | tuple[int, int] | None = None,
        scale_factor: float | tuple[float, float] | None = None,
        keep_ratio: bool = False,
        clip_object_border: bool = True,
        backend: str = "cv2",
        interpolation: str = "bilinear",
    ) -> None:
        # mmcv builds a transform with scale=0 whose scale is sampled later.
        if scale not in (None, 0):
            _check_scale(scale)
        check_choice("backend", backend, ("cv2", "pillow"))
        super().__init__(
            scale=None if scale is None else _pair(scale),
            scale_factor=scale_factor,
            keep_ratio=keep_ratio,
            clip_object_border=clip_object_border,
            backend=backend,
            interpolation=interpolation,
        )

    def _fitted_size(self, size: tuple[int, int], scale: tuple[int, int]) -> tuple[int, int]:
        """Return the new (width, height) for ``keep_ratio``."""
        return mmcv.rescale_size(size, scale)

    def _resize_img(self, results: dict) -> None:
        """Resize ``img`` to fit ``results['scale']``."""
        image = results["img"]
        if self.backend == "pillow" and image.dtype != np.uint8:
            raise TypeError(
                f"backend 'pillow' expects a uint8 image, got {image.dtype}; load it with "
                "to_float32=False, or resize with backend='cv2'."
            )
        height, width = image.shape[:2]
        scale = _check_scale(results["scale"])
        if self.keep_ratio:
            scale = self._fitted_size((width, height), scale)
        new_width, new_height = max(scale[0], 1), max(scale[1], 1)
        results["img"] = mmcv.imresize(
            image,
            (new_width, new_height),
            interpolation=self.interpolation,
            backend=self.backend,
        )
        results["img_shape"] = (new_height, new_width)
        results["scale_factor"] = (new_width / width, new_height / height)
        results["keep_ratio"] = self.keep_ratio

    def _resize_bboxes(self, results: dict) -> None:
        """Scale ``gt_bboxes`` (G, 4), which stay float32."""
        if results.get("gt_bboxes") is None:
            return
        factors = np.array(results["scale_factor"] * 2, dtype=np.float32)
        boxes = np.asarray(results["gt_bboxes"], dtype=np.float32) * factors
        if self.clip_object_border:
            height, width = results["img_shape"]
            boxes = boxes.clip(0, np.array([width, height] * 2, dtype=np.float32))
        results["gt_bboxes"] = boxes


@TRANSFORMS.register_module()
class FixScaleResize(Resize):
    """Resize an image and its boxes by the official rule, :func:`official_size`.

    Reads and writes what :class:`Resize` does. With Pillow's antialiased bilinear interpolation,
    the pixels equal those of the official code.

    Args:
        scale: Length of the short side and maximum length of the long side, in either order.
        keep_ratio: Keep the aspect ratio; if False, the image becomes exactly ``scale``.
        clip_object_border: Clip the boxes to the new image, [0, width] x [0, height].
        backend: ``'pillow'`` (official) or ``'cv2'``.
        interpolation: ``'bilinear'`` or another name of :func:`mmcv.imresize`.
    """

    def __init__(
        self,
        scale: int | tuple[int, int],
        keep_ratio: bool = True,
        clip_object_border: bool = True,
        backend: str = "pillow",
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__(
            scale=scale,
            keep_ratio=keep_ratio,
            clip_object_border=clip_object_border,
            backend=backend,
            interpolation=interpolation,
        )

    def _fitted_size(self, size: tuple[int, int], scale: tuple[int, int]) -> tuple[int, int]:
        """Return the new (width, height) for ``keep_ratio``."""
        return official_size(*size, short=min(scale), long=max(scale))


@TRANSFORMS.register_module()
class RandomChoiceResize(MMCVRandomChoiceResize):
    """Resize each image to a scale that is randomly chosen from a list.

    Reads and writes what the resize transform does, and writes ``scale_idx``. The resize transform
    is searched for in GLIP's registry first, whatever the default scope.

    Args:
        scales: The scales to choose from, each as the resize transform accepts it.
        resize_type: Type of the resize transform, for example ``'FixScaleResize'``.
        **resize_kwargs: Its other arguments, for example ``keep_ratio`` and ``backend``.
    """

    def __init__(
        self,
        scales: Sequence[int | tuple[int, int]],
        resize_type: str = "Resize",
        **resize_kwargs: Any,
    ) -> None:
        if not isinstance(scales, Sequence) or isinstance(scales, str) or not scales:
            raise ConfigError(f"expected scales as a list of scales, got {shorten(scales)}")
        super().__init__(
            [_check_scale(scale) for scale in scales],
            resize_type,
            _scope_=TRANSFORMS.scope,
            **resize_kwargs,
        )


def _check_scale(scale: int | Sequence[int]) -> tuple[int, int]:
    """Return a scale as (width, height).

    Raises:
        ConfigError: a number is less than 1, or an image of this scale would have more than
            :data:`MAX_PIXELS`.
        ValueError: the scale has another length.
    """
    for side in scale if isinstance(scale, Sequence) and not isinstance(scale, str) else [scale]:
        check_number("scale", side, low=1)
    pair = _pair(scale)
    if pair[0] * pair[1] > MAX_PIXELS:
        raise ConfigError(
            f"expected a scale of at most {MAX_PIXELS:,} pixels, got {shorten(scale)}: every image "
            "is resized to it, whatever its own size"
        )
    return pair


def _pair(scale: int | Sequence[int]) -> tuple[int, int]:
    """Return a scale as (width, height); one number stands for both.

    Raises:
        ValueError: The scale has another length.
    """
    if isinstance(scale, int):
        return scale, scale
    if len(scale) != 2:
        raise ValueError(f"expected a scale as one number or (width, height), got {tuple(scale)}.")
    return scale[0], scale[1]
