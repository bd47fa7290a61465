"""The optimised model equals the plain formulation, forward and backward."""

from contextlib import nullcontext

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from glip.models.ops import use_fused_ops
from glip.registry import MODELS
from glip.structures import DetDataSample
from glip.testing import draw_state_dict, tiny_config
from glip.testing.plain import plain_formulation


@pytest.fixture(params=[False, True], ids=["A", "B"])
def model(request, vocabulary):
    cfg = tiny_config(early_fuse=request.param, lang_model_name=vocabulary)
    cfg.model.bbox_head.dropout = 0.0
    cfg.model.language_model.config.update(
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model)
    model.load_state_dict(draw_state_dict(model.state_dict()))
    return model.eval()


def samples():
    made = []
    for number, text in enumerate((("bench", "car"), ("a rather long name", "dog", "cat"))):
        sample = DetDataSample(
            metainfo=dict(img_shape=(96, 128), text=text, custom_entities=True, img_id=number)
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10.0, 12.0, 60.0, 70.0], [40.0, 5.0, 100.0, 90.0]]),
            labels=torch.tensor([0, 1]),
        )
        made.append(sample)
    return made


def batch(model, *, training):
    pixels = torch.randint(0, 256, (3, 96, 128), generator=torch.Generator().manual_seed(0))
    items = [dict(inputs=pixels.byte(), data_samples=each) for each in samples()]
    return model.data_preprocessor(pseudo_collate(items), training)


def test_same_outputs(model):
    with torch.no_grad():
        fast = model(**batch(model, training=False))
        with plain_formulation(model):
            plain = model(**batch(model, training=False))
    for one, other in zip(
        fast.deltas + fast.centerness, plain.deltas + plain.centerness, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    for one, other in zip(fast.token_logits, plain.token_logits, strict=True):
        assert other.shape[-1] == 256  # padded to all tokens
        torch.testing.assert_close(one, other[..., : one.shape[-1]], rtol=1e-3, atol=1e-3)


def test_same_gradients(model):
    """In float64, where rounding does not hide a difference."""
    model.double()
    gradients = []
    for formulation in (nullcontext(), plain_formulation(model)):
        model.zero_grad()
        data = batch(model, training=True)
        data["inputs"] = data["inputs"].double()
        with formulation:
            sum(model(**data, mode="loss").values()).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        largest = gradients[1][name].abs().max().item()
        if name.endswith("key.bias"):  # the true gradient is 0, the rest is rounding
            continue
        torch.testing.assert_close(
            gradient, gradients[1][name], rtol=1e-5, atol=1e-6 * largest + 1e-8, msg=name
        )


def test_the_model_is_restored(model):
    before = use_fused_ops(), model.bbox_head.forward_visual, model.language_model.pad_to_max
    with plain_formulation(model):
        assert not use_fused_ops()
        assert model.language_model.pad_to_max
    after = use_fused_ops(), model.bbox_head.forward_visual, model.language_model.pad_to_max
    assert before == after
