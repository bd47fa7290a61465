"""Draw detections during validation and test."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from glip.datasets.images import read_image
from glip.registry import HOOKS
from glip.structures import DetDataSample
from glip.utils.atomic_write import make_writable_folder
from glip.utils.errors import ImageReadError, StorageError
from glip.utils.image_files import IMAGE_EXTENSIONS, ImageLimits, safe_file_name
from glip.visualization.local_visualizer import check_display


@HOOKS.register_module()
class DetVisualizationHook(Hook):
    """Draw detections, next to the annotations if there are any, with the runner's visualizer.

    In validation, the first image of every ``interval``-th batch is drawn: the same images each
    time, stored as ``val_<file name>`` with the training iteration as their step. In a test, every
    image is drawn. The drawn images go to ``test_out_dir`` (test only), to a window, or to the
    backends of the visualizer. In distributed runs only the main process draws.

    Args:
        draw: whether to draw. Defaults to False.
        interval: batches of a validation between two drawn images. Defaults to 50.
        score_thr: detections with lower scores are not drawn. Defaults to 0.3.
        show: whether to open a window. Defaults to False.
        wait_time: seconds to show each image; 0 waits for a key. Defaults to 0.
        test_out_dir: folder for the drawn images of a test, in ``work_dir/timestamp`` unless it is
            an absolute path. Defaults to None.
        backend_args: of the file backend that reads the images. Defaults to None.
        max_pixels: largest image, height times width; by default Pillow's limit.
        max_bytes: largest file; by default 512 MiB.

    An image that cannot be read or saved is not drawn; a warning names the first one.

    Raises:
        ValueError: ``interval`` is less than 1.
        ConfigError: a limit is not an integer of 1 or more.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        score_thr: float = 0.3,
        show: bool = False,
        wait_time: float = 0.0,
        test_out_dir: str | None = None,
        backend_args: dict[str, Any] | None = None,
        max_pixels: int | None = None,
        max_bytes: int | None = None,
    ):
        if interval < 1:
            raise ValueError(f"interval must be at least 1 batch, but got {interval}")
        self.draw = draw
        self.interval = interval
        self.score_thr = score_thr
        self.show = show
        self.wait_time = wait_time
        self.test_out_dir = test_out_dir
        self.backend_args = backend_args
        self.limits = ImageLimits(max_pixels, max_bytes)
        self._num_failed = 0
        self._num_tested = 0
        self._file_names: set[str] = set()

    def before_run(self, runner: Runner) -> None:
        """Check that the runner's visualizer can draw detections, and show them.

        Raises:
            TypeError: it is mmengine's ``Visualizer``, which draws no data samples.
            ConfigError: ``show`` is set, but there is no display.
        """
        if self.draw and self.show:
            check_display()
        if self.draw and type(runner.visualizer) is Visualizer:
            raise TypeError(
                "DetVisualizationHook needs a visualizer that draws detections, but got mmengine's "
                "Visualizer; set visualizer = dict(type='DetLocalVisualizer') in the config"
            )

    def before_test(self, runner: Runner) -> None:
        """Reset the number of images and their file names; create the folder.

        Raises:
            StorageError: nothing can be written in the folder.
        """
        self._num_tested = 0
        self._file_names.clear()
        if self.draw and self.test_out_dir is not None and is_main_process():
            make_writable_folder(self._test_folder(runner))

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,  # noqa: ARG002
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw the first image of every ``interval``-th batch."""
        if not self.draw or not outputs or batch_idx % self.interval or not is_main_process():
            return
        stem = osp.splitext(osp.basename(outputs[0].img_path))[0]
        self._add_datasample(runner, outputs[0], name=f"val_{stem}", step=runner.iter)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,  # noqa: ARG002
        data_batch: Any = None,  # noqa: ARG002
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw every image of the batch."""
        if not self.draw or not outputs or not is_main_process():
            return
        for data_sample in outputs:
            self._num_tested += 1
            out_file = None
            if self.test_out_dir is not None:
                out_file = osp.join(
                    self._test_folder(runner), self._file_name(data_sample.img_path)
                )
            self._add_datasample(runner, data_sample, "test_img", self._num_tested, out_file)

    def _add_datasample(
        self,
        runner: Runner,
        data_sample: DetDataSample,
        name: str,
        step: int,
        out_file: str | None = None,
    ) -> None:
        try:
            image = read_image(
                data_sample.img_path, backend_args=self.backend_args, limits=self.limits
            )
            runner.visualizer.add_datasample(
                osp.basename(data_sample.img_path) if self.show else name,
                np.ascontiguousarray(image[..., ::-1]),  # BGR to RGB
                data_sample=data_sample,
                show=self.show,
                wait_time=self.wait_time,
                pred_score_thr=self.score_thr,
                out_file=out_file,
                step=step,
            )
        except (ImageReadError, StorageError) as error:  # the evaluation is worth more
            self._num_failed += 1
            if self._num_failed == 1:
                runner.logger.warning(f"not drawn, as others may be: {error}")

    def _test_folder(self, runner: Runner) -> str:
        return osp.join(runner.work_dir, runner.timestamp, self.test_out_dir or "")

    def _file_name(self, img_path: str) -> str:
        """Return the file name of the image, numbered if images of several folders share it."""
        stem, suffix = osp.splitext(osp.basename(img_path))
        if suffix.lower() not in IMAGE_EXTENSIONS:  # OpenCV may not write it
            suffix = ".png"
        stem = safe_file_name(stem, "image")
        name, number = f"{stem}{suffix}", 1
        while name in self._file_names:
            number += 1
            name = f"{stem}_{number}{suffix}"
        self._file_names.add(name)
        return name
