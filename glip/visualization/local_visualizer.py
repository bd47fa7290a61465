"""Draw data samples, and save, show or log the images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import mmcv
import numpy as np
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement, InstanceData
from mmengine.visualization import Visualizer

from glip.registry import VISUALIZERS
from glip.utils.errors import ConfigError
from glip.visualization.draw import draw_detections
from glip.visualization.fonts import check_font
from glip.visualization.palette import RGB, label_color
from glip.visualization.saving import save_image
from glip.visualization.style import DrawStyle

#: matplotlib's backends that open no window; its choice where there is no display is Agg.
_WITHOUT_WINDOWS = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")


def check_display() -> None:
    """Check that matplotlib can open a window; without one it would wait for a key for ever.

    Raises:
        ConfigError: there is no display.
    """
    import matplotlib.pyplot as plt

    backend = plt.get_backend().lower()
    if backend in _WITHOUT_WINDOWS:
        raise ConfigError(
            f"there is no display to show images on (matplotlib's backend is {backend}): omit "
            "--show (show=True), and save the drawn images with --out-dir (out_dir), in "
            "tools/test.py with --show-dir"
        )


@VISUALIZERS.register_module()
class DetLocalVisualizer(Visualizer):
    """Draw the annotations and detections of a data sample.

    ``dataset_meta`` may contain ``classes``, the label names of instances without ``label_names``,
    and ``palette``, RGB colours to use instead of :func:`~glip.visualization.palette.label_color`.

    Args:
        name: of this instance. Defaults to 'visualizer'.
        image: the first image, RGB (H, W, 3). Defaults to None.
        vis_backends: configs of the backends that store images. Defaults to None.
        save_dir: folder of the backends; without it they store nothing. Defaults to None.
        line_width: of the boxes, in pixels. Defaults to None: it scales with the image.
        font_size: of the text, in pixels. Defaults to None: it scales with the image.
        font: font file of the text. Defaults to None: DejaVu Sans, and for the characters that it
            lacks an installed font.
        hide_labels: write no names. Defaults to False.
        hide_scores: write no scores. Defaults to False.

    Attributes:
        style: the arguments after ``save_dir``.

    Raises:
        ConfigError: ``font`` is no font file, or another value is invalid.
    """

    def __init__(
        self,
        name: str = "visualizer",
        image: np.ndarray | None = None,
        vis_backends: list[dict] | dict | None = None,
        save_dir: str | None = None,
        *,
        line_width: int | None = None,
        font_size: int | None = None,
        font: str | os.PathLike | None = None,
        hide_labels: bool = False,
        hide_scores: bool = False,
    ):
        self.style = DrawStyle(
            line_width=line_width,
            font_size=font_size,
            font=check_font(font),
            hide_labels=hide_labels,
            hide_scores=hide_scores,
        )
        super().__init__(name=name, image=image, vis_backends=vis_backends, save_dir=save_dir)

    @master_only
    def set_image(self, image: np.ndarray) -> None:
        """Set the image to draw on.

        Args:
            image: RGB (H, W, 3).
        """
        super().set_image(image)
        self._num_artists = len(self.ax_save.get_children())

    @master_only
    def show(self, *args: Any, **kwargs: Any) -> None:
        """Show an image in a window, see mmengine's ``Visualizer.show``.

        Raises:
            ConfigError: there is no display.
        """
        check_display()
        super().show(*args, **kwargs)

    @master_only
    def get_image(self) -> np.ndarray:
        """Return the image with everything drawn on it, RGB uint8 (H, W, 3).

        matplotlib renders it only if mmengine's ``draw_*`` methods were used, because rendering is
        slow and, in some versions of matplotlib, shifts the pixels slightly.
        """
        if len(self.ax_save.get_children()) == getattr(self, "_num_artists", None):
            return self._image.copy()
        return super().get_image()

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: BaseDataElement | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | os.PathLike | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw a data sample, then save, show or log the image.

        :meth:`get_image` returns it afterwards. It is written to ``out_file`` if given, and shown
        in a window if ``show`` is set; with neither it goes to the backends.

        Args:
            name: title of the window, and name of the image in the backends.
            image: RGB (H, W, 3), values 0 to 255.
            data_sample: see :meth:`draw_datasample`. Defaults to None.
            draw_gt: whether to draw the annotations. Defaults to True.
            draw_pred: whether to draw the detections. Defaults to True.
            show: whether to open a window. Defaults to False.
            wait_time: seconds to show the window; 0 waits for a key. Defaults to 0.
            out_file: where to save the image, atomically; missing folders are created. Defaults to
                None.
            pred_score_thr: detections with lower scores are not drawn. Defaults to 0.3.
            step: training step, for the backends. Defaults to 0.

        Raises:
            ConfigError: ``show`` is set, but there is no display.
            StorageError: the image cannot be saved.
        """
        drawn = self.draw_datasample(
            image,
            data_sample,
            draw_gt=draw_gt,
            draw_pred=draw_pred,
            pred_score_thr=pred_score_thr,
        )
        self.set_image(drawn)
        if show:
            self.show(drawn, win_name=name, wait_time=wait_time)
        if out_file is not None:
            if "://" in str(out_file):  # a storage of mmengine's file backends
                mmcv.imwrite(np.ascontiguousarray(drawn[..., ::-1]), str(out_file))
            else:
                save_image(out_file, drawn)
        elif not show:
            self.add_image(name, drawn, step)

    def draw_datasample(
        self,
        image: np.ndarray,
        data_sample: BaseDataElement | None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
    ) -> np.ndarray:
        """Return a new image of a data sample; the visualizer is not changed.

        A sample with both annotations and detections gives two images side by side, annotations at
        the left; a sample with neither gives the image as it is.

        Args:
            image: RGB (H, W, 3), values 0 to 255.
            data_sample: its ``gt_instances`` and ``pred_instances`` are drawn, whose boxes are xyxy
                in pixels of ``image``.
            draw_gt: whether to draw the annotations. Defaults to True.
            draw_pred: whether to draw the detections. Defaults to True.
            pred_score_thr: detections with lower scores are not drawn. Defaults to 0.3.

        Returns:
            RGB uint8 (H, W, 3) or (H, 2W, 3).
        """
        if image.dtype != np.uint8:
            image = image.clip(0, 255).astype(np.uint8)
        images = []
        if draw_gt and (gt := _with_boxes(data_sample, "gt_instances")) is not None:
            images.append(self._draw(image, gt))
        if draw_pred and (pred := _with_boxes(data_sample, "pred_instances")) is not None:
            images.append(self._draw(image, pred, pred_score_thr))
        return np.concatenate(images, axis=1) if images else image

    def _draw(
        self, image: np.ndarray, instances: InstanceData, score_thr: float | None = None
    ) -> np.ndarray:
        """Draw K instances on a copy of the image, with their scores if they have any."""
        boxes = _to_numpy(instances.bboxes).reshape(-1, 4)
        names = self._names(instances, len(boxes))
        colors = self._colors(instances, names)
        scores = _to_numpy(instances.scores) if "scores" in instances else None
        if scores is not None and score_thr is not None:
            kept = np.flatnonzero(scores >= score_thr)
            boxes, scores = boxes[kept], scores[kept]
            names, colors = [names[k] for k in kept], [colors[k] for k in kept]
        return draw_detections(image, boxes, names, scores, colors, style=self.style)

    def _names(self, instances: InstanceData, num: int) -> list[str]:
        if "label_names" in instances:
            return [str(name) for name in instances.label_names]
        if "labels" not in instances:
            return [""] * num
        classes = (self.dataset_meta or {}).get("classes") or ()
        return [
            str(classes[label]) if 0 <= label < len(classes) else f"class {label}"
            for label in _to_numpy(instances.labels).astype(int).tolist()
        ]

    def _colors(self, instances: InstanceData, names: Sequence[str]) -> list[RGB]:
        """Return a colour per instance, by label, or by name if there are no labels."""
        if "labels" in instances:
            labels = _to_numpy(instances.labels).astype(int).tolist()
        else:
            index = {name: i for i, name in enumerate(dict.fromkeys(names))}
            labels = [index[name] for name in names]
        palette = (self.dataset_meta or {}).get("palette")
        if not isinstance(palette, (list, tuple)):
            palette = ()
        return [
            tuple(palette[label]) if 0 <= label < len(palette) else label_color(label)
            for label in labels
        ]


def _with_boxes(data_sample: BaseDataElement | None, field: str) -> InstanceData | None:
    """Return the instances of a sample if they have ``bboxes``, which may be empty."""
    instances = None if data_sample is None else data_sample.get(field)
    return instances if instances is not None and "bboxes" in instances else None


def _to_numpy(values: Any) -> np.ndarray:
    """Convert a tensor of any device and dtype, a box structure, an array or a list."""
    values = getattr(values, "tensor", values)  # MMDetection's box structures
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()  # numpy has no bfloat16
    return np.asarray(values, dtype=np.float64)
