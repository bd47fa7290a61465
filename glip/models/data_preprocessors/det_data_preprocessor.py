"""Normalising and padding a batch of images.

Shapes: B images, the batch is H x W.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import ImgDataPreprocessor

from glip.registry import MODELS

#: Channel means and deviations of ImageNet, BGR, values 0...255 (official configs).
BGR_MEAN = (103.53, 116.28, 123.675)
BGR_STD = (57.375, 57.12, 58.395)


@MODELS.register_module()
class DetDataPreprocessor(ImgDataPreprocessor):
    """Move a batch to the model's device, normalise it and pad it right and bottom with zeros.

    Padding follows the normalisation, so it is the mean colour, as in the official code.

    Args:
        mean: of each channel, values 0...255.
        std: of each channel.
        pad_size_divisor: H and W become multiples of it.
        bgr_to_rgb: turn BGR images into RGB; the released models read BGR.
        non_blocking: do not wait for the copy to the device, where the memory allows it (pinned).
    """

    def __init__(
        self,
        mean: Sequence[float] = BGR_MEAN,
        std: Sequence[float] = BGR_STD,
        pad_size_divisor: int = 32,
        bgr_to_rgb: bool = False,
        non_blocking: bool = True,
    ):
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=pad_size_divisor,
            bgr_to_rgb=bgr_to_rgb,
            non_blocking=non_blocking,
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data: ``inputs``, B images (3, h, w) of values 0...255, and ``data_samples``.
            training: as mmengine asks; it makes no difference here.

        Returns:
            ``inputs`` (B, 3, H, W) and the samples, which learn ``batch_input_shape`` (H, W).
        """
        data = super().forward(data, training)
        for sample in data.get("data_samples") or []:
            sample.set_metainfo({"batch_input_shape": tuple(data["inputs"].shape[-2:])})
        return data
