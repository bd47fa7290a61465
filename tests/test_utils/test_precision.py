"""Inference in mixed precision on a CPU."""

from __future__ import annotations

import copy

import pytest
import torch

from glip.apis import inference_detector, init_detector
from glip.utils.errors import ConfigError
from glip.utils.precision import autocast, check_amp


def test_bfloat16_detections(tiny_cfg, tiny_checkpoint, tiny_model, photo):
    """Equal up to the two or three digits of bfloat16, the dtype of the matrix products."""
    kinds = []
    model = init_detector(
        copy.deepcopy(tiny_cfg),
        tiny_checkpoint,
        device="cpu",
        cfg_options={"model.test_cfg.amp": "bf16"},
    )
    for part in (model.backbone.stages[0].blocks[0].mlp.fc1, model.bbox_head.tower.blocks[0]):
        part.register_forward_hook(lambda _, __, out: kinds.append(out))
    prompt = dict(text_prompt="bench . car .", custom_entities=True)
    found, exact = (
        inference_detector(each, photo, **prompt).pred_instances for each in (model, tiny_model)
    )
    assert kinds[0].dtype == torch.bfloat16
    assert found.scores.dtype == found.bboxes.dtype == torch.float32
    best = exact.scores[:20]
    torch.testing.assert_close(found.scores[:20], best, rtol=0.05, atol=0.02)
    assert not torch.equal(found.scores[:20], best)


def test_unsupported(tiny_cfg, tiny_checkpoint):
    with pytest.raises(ConfigError, match="got test_cfg"):
        check_amp("half")
    with pytest.raises(ConfigError, match="float16 needs a GPU"):
        autocast("fp16", torch.device("cpu"))
    with pytest.raises(ConfigError, match="float16 needs a GPU"):  # when the model is built
        init_detector(
            tiny_cfg, tiny_checkpoint, device="cpu", cfg_options={"model.test_cfg.amp": "fp16"}
        )


def test_none_keeps_the_surrounding_autocast():
    with torch.autocast("cpu", torch.bfloat16), autocast(None, torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
