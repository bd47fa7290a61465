"""The exportable forms compute what the model computes, for all sizes, batches and captions."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.export.graphs import make_graphs
from glip.export.image_graph import shift_mask, window_index
from glip.models.backbones.swin_block import make_shift_mask
from glip.models.language import TextFeatures
from glip.registry import MODELS
from glip.testing import draw_state_dict, tiny_config


@pytest.fixture(scope="module", params=[False, True], ids=["A", "B"])
def model(request):
    cfg = tiny_config(early_fuse=request.param)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(draw_state_dict(model.state_dict()), strict=False)
    return model


@pytest.mark.parametrize("size", [(1, 32, 32, 2), (2, 96, 64, 7), (3, 64, 256, 20)])
def test_graphs_equal_the_model(model, size):
    batch, height, width, tokens = size
    graphs = make_graphs(model, None)
    torch.manual_seed(0)
    image = torch.randn(batch, 3, height, width)
    ids = torch.randint(1000, 20000, (batch, tokens))
    mask = torch.ones(batch, tokens, dtype=torch.bool)
    mask[-1, tokens // 2 + 1 :] = False
    with torch.inference_mode():
        levels = model.encode_image(image)
        for own, expected in zip(graphs["image"].module(image), levels, strict=True):
            torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-4)
        text = model.language_model(ids, mask)
        hidden = graphs["text"].module(ids, mask)
        torch.testing.assert_close(hidden[mask], text.hidden[mask], atol=1e-5, rtol=1e-4)
        own = text.embedded
        outputs = model.bbox_head._forward_dense(levels, TextFeatures(own, own, mask))
        logits, deltas, centerness = graphs["answer"].module(*levels, own, mask)
    assert logits.abs().max() > 0.1
    for found, parts in (
        (logits.transpose(1, 2)[mask], torch.cat(outputs.token_logits, 1).transpose(1, 2)[mask]),
        (deltas, torch.cat(outputs.deltas, 1)),
        (centerness, torch.cat(outputs.centerness, 1)),
    ):
        torch.testing.assert_close(found, parts, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("size", [(7, 7), (1, 2), (13, 22), (14, 8)])
@pytest.mark.parametrize("shift", [0, 3])
def test_windows_are_put_together_again(size, shift):
    height, width = size
    gather, scatter = window_index(height, width, 7, shift)
    assert torch.equal(gather[scatter], torch.arange(height * width))
    assert (gather == height * width).sum() == len(gather) - height * width
    assert torch.equal(shift_mask(height, width, 7), make_shift_mask(height, width, 7, "cpu"))
