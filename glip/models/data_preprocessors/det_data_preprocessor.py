"""Normalise and pad a batch of images.

Shapes: B images, the batch is H x W.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import ImgDataPreprocessor

from glip.registry import MODELS
from glip.utils.errors import ConfigError
from glip.utils.messages import shorten
from glip.utils.options import check_int, check_number

#: Mean and std of ImageNet, BGR, values 0...255 (official configs).
BGR_MEAN = (103.53, 116.28, 123.675)
BGR_STD = (57.375, 57.12, 58.395)


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Move a batch to the model's device, normalise it and pad it right and bottom with zeros.

    Padding follows the normalisation, so it has the mean colour, as in the official code.

    Args:
        mean: mean of each channel, values 0...255.
        std: standard deviation of each channel.
        pad_size_divisor: H and W become multiples of it.
        bgr_to_rgb: convert BGR images to RGB; the released models read BGR.
        non_blocking: copy from pinned memory to the device asynchronously.

    Raises:
        ConfigError: an option is invalid.
    """

    def __init__(
        self,
        mean: Sequence[float] = BGR_MEAN,
        std: Sequence[float] = BGR_STD,
        pad_size_divisor: int = 32,
        bgr_to_rgb: bool = False,
        non_blocking: bool = True,
    ):
        check_int("data_preprocessor.pad_size_divisor", pad_size_divisor, low=1)
        for name, values in (("mean", mean), ("std", std)):
            if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 3:
                raise ConfigError(
                    f"expected data_preprocessor.{name} as three numbers, got {shorten(values)}"
                )
            for value in values:
                check_number(f"data_preprocessor.{name}", value, positive=name == "std")
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=pad_size_divisor,
            bgr_to_rgb=bgr_to_rgb,
            non_blocking=non_blocking,
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Collate a batch.

        Args:
            data: ``inputs``, B images (3, h, w) of values 0...255, and ``data_samples``.
            training: part of mmengine's interface, not used.

        Returns:
            ``inputs`` (B, 3, H, W) and ``data_samples`` with the meta information
            ``batch_input_shape`` (H, W).
        """
        data = super().forward(data, training)
        for sample in data.get("data_samples") or []:
            sample.set_metainfo({"batch_input_shape": tuple(data["inputs"].shape[-2:])})
        return data
