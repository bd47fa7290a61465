"""Transforms that load an image and its annotations.

``results`` is the dictionary that a data set passes to the first transform of its pipeline. G is
the number of annotated objects; boxes are xyxy in pixels of the original image.
"""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from glip.datasets.image_bytes import image_name
from glip.datasets.images import check_pixels, open_image, read_bytes, read_image
from glip.registry import TRANSFORMS
from glip.utils.errors import ImageReadError, shorten
from glip.utils.image_files import ImageLimits


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """Load an image from a file.

    Reads ``img_path``, a path or URL. Writes ``img``, the pixels (H, W, 3), uint8, BGR, and
    ``img_shape`` and ``ori_shape``, both (H, W).

    Pillow decodes by default, as in the official GLIP; see
    :func:`glip.datasets.images.read_image`. OpenCV's JPEG decoder returns slightly different
    pixels, which lead to slightly different scores.

    Args:
        to_float32: Convert the pixels to float32, still from 0 to 255.
        color_type: ``'color'``; mmcv's other flags are accepted, but GLIP cannot use their images.
        imdecode_backend: ``'pillow'``, or another decoder of :func:`mmcv.imfrombytes`.
        ignore_empty: Return None for an unreadable image, so that the data set replaces it, instead
            of raising an error.
        backend_args: mmengine's file backend and its settings; by default chosen by the path.
        max_pixels: Largest image, height times width; by default Pillow's limit, about 179 million.
        max_bytes: Largest file; by default 512 MiB.

    Raises:
        ImageReadError: The image cannot be read, or is too large (on use).
        ConfigError: A limit is not an integer of 1 or more.
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        imdecode_backend: str = "pillow",
        ignore_empty: bool = False,
        *,
        backend_args: dict[str, Any] | None = None,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.limits = ImageLimits(max_pixels, max_bytes)
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            ignore_empty=ignore_empty,
            backend_args=backend_args,
        )

    def transform(self, results: dict) -> dict | None:
        """Load the image; None if it cannot be read and ``ignore_empty`` is set."""
        try:
            image = self._read(results["img_path"])
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        return self._store(results, image)

    def _read(self, path: str) -> np.ndarray:
        if self.imdecode_backend == "pillow" and self.color_type == "color":
            return read_image(path, backend_args=self.backend_args, limits=self.limits)
        content = read_bytes(path, self.backend_args, self.limits)
        check_pixels(content, image_name(path), self.limits)
        try:
            image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # each decoder raises errors of its own
            detail = f" ({type(error).__name__}: {shorten(str(error))})"
            raise self._failure(path, detail) from None
        if image is None:  # OpenCV cannot decode it
            raise self._failure(path)
        return image

    def _failure(self, path: str, detail: str = "") -> ImageReadError:
        return ImageReadError(
            f"cannot read {image_name(path)}: {self.imdecode_backend} cannot decode it{detail}; "
            "check that the image is not damaged, or try imdecode_backend='pillow'."
        )

    def _store(self, results: dict, image: np.ndarray) -> dict:
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = image.shape[:2]
        results["ori_shape"] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadImageFromNDArray(LoadImageFromFile):
    """Load an image that is not a file: an array such as a video frame, bytes, a Pillow image, ...

    Reads ``img``, anything that :func:`glip.datasets.images.open_image` accepts. Writes ``img``,
    the pixels (H, W, 3), uint8, BGR, ``img_shape`` and ``ori_shape``, both (H, W), and ``img_path``
    (None) if it is missing.

    It has the arguments of :class:`LoadImageFromFile`, so that a config needs to replace only
    ``type``; ``color_type`` and ``imdecode_backend`` have no effect.
    """

    def transform(self, results: dict) -> dict | None:
        """Convert the image; None if it is invalid and ``ignore_empty`` is set."""
        try:
            image = open_image(results["img"], backend_args=self.backend_args, limits=self.limits)
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        results.setdefault("img_path", None)
        return self._store(results, image)


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Convert the annotated objects of an image to arrays.

    Reads ``instances``, a list of G dictionaries with ``bbox`` (four numbers, xyxy), ``bbox_label``
    (an integer from 0) and, for an object to ignore (a crowd), a true ``ignore_flag``. A missing
    list, as in a data set without annotations, is treated as an empty one. Writes

    - ``gt_bboxes`` (G, 4), float32, and ``gt_ignore_flags`` (G,), bool, with ``with_bbox``;
    - ``gt_bboxes_labels`` (G,), int64, with ``with_label``.

    Args:
        with_bbox: Load the boxes and their ignore flags.
        with_label: Load the labels.
        with_mask: Must be False; GLIP detects boxes.
        with_seg: Must be False.
        box_type: ``'hbox'`` or None; both are arrays here.

    Raises:
        ValueError: ``with_mask`` or ``with_seg`` is set, or ``box_type`` is another one.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = False,
        with_seg: bool = False,
        box_type: str | None = None,
    ) -> None:
        if with_mask or with_seg:
            raise ValueError(
                "LoadAnnotations loads only boxes and labels, because GLIP detects boxes; "
                "set with_mask=False and with_seg=False."
            )
        if box_type not in (None, "hbox"):
            raise ValueError(
                f"expected box_type 'hbox' (axis-aligned xyxy boxes), got {box_type!r}."
            )
        self.with_bbox = with_bbox
        self.with_label = with_label

    def transform(self, results: dict) -> dict:
        """Write the arrays."""
        instances = results.get("instances") or []
        if self.with_bbox:
            boxes = [instance["bbox"] for instance in instances]
            flags = [bool(instance.get("ignore_flag", False)) for instance in instances]
            results["gt_bboxes"] = np.array(boxes, dtype=np.float32).reshape(len(boxes), 4)
            results["gt_ignore_flags"] = np.array(flags, dtype=bool)
        if self.with_label:
            labels = [instance["bbox_label"] for instance in instances]
            results["gt_bboxes_labels"] = np.array(labels, dtype=np.int64)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(with_bbox={self.with_bbox}, with_label={self.with_label})"
