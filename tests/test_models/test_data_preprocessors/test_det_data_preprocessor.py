"""Normalising and padding."""

import torch

from glip.models import DetDataPreprocessor
from glip.structures import DetDataSample


def test_batch():
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in ((40, 70), (64, 33))]
    samples = [DetDataSample(), DetDataSample()]
    batch = DetDataPreprocessor()(dict(inputs=images, data_samples=samples))
    assert batch["inputs"].shape == (2, 3, 64, 96)
    mean = torch.tensor([103.53, 116.28, 123.675])[:, None, None]
    std = torch.tensor([57.375, 57.12, 58.395])[:, None, None]
    for image, row in zip(images, batch["inputs"], strict=True):
        height, width = image.shape[1:]
        torch.testing.assert_close(row[:, :height, :width], (image - mean) / std)
        # Zeros after the normalisation: the mean colour, right and bottom.
        assert row[:, height:].eq(0).all()
        assert row[:, :, width:].eq(0).all()
    assert [sample.batch_input_shape for sample in batch["data_samples"]] == [(64, 96)] * 2


def test_size_that_fits_is_kept():
    batch = DetDataPreprocessor()(dict(inputs=[torch.zeros(3, 32, 64, dtype=torch.uint8)]))
    assert batch["inputs"].shape == (1, 3, 32, 64)


def test_other_numbers():
    preprocessor = DetDataPreprocessor(
        mean=[0, 0, 0], std=[1, 1, 1], pad_size_divisor=8, bgr_to_rgb=True
    )
    image = torch.arange(3, dtype=torch.uint8)[:, None, None].expand(3, 9, 8)
    inputs = preprocessor(dict(inputs=[image]))["inputs"]
    assert inputs.shape == (1, 3, 16, 8)
    assert inputs[0, :, 0, 0].tolist() == [2, 1, 0]
