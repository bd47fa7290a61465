"""Getting an image and its annotations into the results that travel through a pipeline.

``results`` is the dictionary a data set hands to the first transform. G is the number of annotated
objects of the image; boxes are xyxy in pixels of the original image.
"""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile

from glip.datasets.images import array_to_bgr, read_bytes, read_image
from glip.registry import TRANSFORMS
from glip.utils.errors import ImageReadError


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """Read the image at ``img_path``.

    Reads ``img_path``, a path or URL. Writes ``img``, the pixels (H, W, 3), uint8, BGR, and
    ``img_shape`` and ``ori_shape``, both (H, W).

    Pillow decodes by default, as in the official GLIP, by the rules of
    :func:`glip.datasets.images.read_image`. OpenCV's JPEG decoder gives pixels that differ a
    little, and scores that differ a little with them.

    Args:
        to_float32: convert the pixels to float32, values still 0 to 255.
        color_type: ``'color'``; mmcv's other flags work too, but their images do not fit GLIP.
        imdecode_backend: ``'pillow'``, or another decoder of :func:`mmcv.imfrombytes`.
        ignore_empty: give None for an image that cannot be read, so that the data set takes another
            one, instead of raising an error.
        backend_args: mmengine's file backend and its settings; by default found from the path.

    Raises:
        glip.datasets.images.ImageReadError: the image cannot be read (on use).
    """

    def __init__(
        self,
        to_float32: bool = False,
        color_type: str = "color",
        imdecode_backend: str = "pillow",
        ignore_empty: bool = False,
        *,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            to_float32=to_float32,
            color_type=color_type,
            imdecode_backend=imdecode_backend,
            ignore_empty=ignore_empty,
            backend_args=backend_args,
        )

    def transform(self, results: dict) -> dict | None:
        """Add the image; None where it cannot be read and ``ignore_empty`` is set."""
        try:
            image = self._read(results["img_path"])
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        return self._store(results, image)

    def _read(self, path: str) -> np.ndarray:
        if self.imdecode_backend == "pillow" and self.color_type == "color":
            return read_image(path, backend_args=self.backend_args)
        content = read_bytes(path, self.backend_args)
        try:
            image = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except Exception as error:  # every decoder raises something else
            raise self._failure(path, f" ({type(error).__name__}: {error})") from error
        if image is None:  # OpenCV's way to say so
            raise self._failure(path)
        return image

    def _failure(self, path: str, detail: str = "") -> ImageReadError:
        return ImageReadError(
            f"cannot read the image '{path}': {self.imdecode_backend} did not decode it{detail}; "
            "check that it is an undamaged image, or try imdecode_backend='pillow'."
        )

    def _store(self, results: dict, image: np.ndarray) -> dict:
        results["img"] = image.astype(np.float32) if self.to_float32 else image
        results["img_shape"] = image.shape[:2]
        results["ori_shape"] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadImageFromNDArray(LoadImageFromFile):
    """Take an image that is an array already, for example a frame of a video.

    Reads ``img``, any array that :func:`glip.datasets.images.array_to_bgr` accepts. Writes ``img``,
    the pixels (H, W, 3), uint8, BGR, ``img_shape`` and ``ori_shape``, both (H, W), and ``img_path``
    (None) where it is missing.

    It takes the arguments of :class:`LoadImageFromFile`, so that it can stand in for it in a config
    where only ``type`` is replaced; all but ``to_float32`` and ``ignore_empty`` do nothing here.
    """

    def transform(self, results: dict) -> dict | None:
        """Check the image and add its size; None if it is refused and ``ignore_empty`` is set."""
        try:
            image = array_to_bgr(results["img"])
        except ImageReadError:
            if self.ignore_empty:
                return None
            raise
        results.setdefault("img_path", None)
        return self._store(results, image)


@TRANSFORMS.register_module()
class LoadAnnotations(BaseTransform):
    """Turn the annotated objects of an image into arrays.

    Reads ``instances``, a list of G dictionaries with ``bbox`` (four numbers, xyxy), ``bbox_label``
    (an integer from 0) and, where an object is to be ignored (a crowd), a true ``ignore_flag``.
    A missing list, as in a data set without annotations, counts as an empty one. Writes

    - ``gt_bboxes`` (G, 4), float32, and ``gt_ignore_flags`` (G,), bool, with ``with_bbox``;
    - ``gt_bboxes_labels`` (G,), int64, with ``with_label``.

    Args:
        with_bbox: load the boxes and which of them to ignore.
        with_label: load the labels.
        with_mask: must be False; GLIP detects boxes.
        with_seg: must be False.
        box_type: ``'hbox'`` or None; both mean arrays here.

    Raises:
        ValueError: masks, or boxes of another type, are asked for.
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
                "LoadAnnotations loads boxes and labels only, because GLIP detects boxes; "
                "set with_mask=False and with_seg=False."
            )
        if box_type not in (None, "hbox"):
            raise ValueError(f"box_type must be 'hbox' (upright xyxy boxes), but got {box_type!r}.")
        self.with_bbox = with_bbox
        self.with_label = with_label

    def transform(self, results: dict) -> dict:
        """Add the arrays."""
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
