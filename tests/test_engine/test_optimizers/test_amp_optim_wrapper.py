"""Training in bfloat16 on a CPU: losses and weights stay in float32."""

from __future__ import annotations

import pytest
import torch
from mmengine.optim import OptimWrapper

from glip.checkpoint import read_checkpoint
from glip.engine import AmpOptimWrapper, GLIPRunner
from glip.models.heads.postprocess import PostProcessor
from glip.utils.errors import TrainingError
from tests.test_models.test_detectors.test_training import build, make_batch
from tests.training import NO_VALIDATION, training_config

on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")


def wrapper(model, **options):
    return AmpOptimWrapper(optimizer=torch.optim.AdamW(model.parameters(), lr=1e-3), **options)


def gradients(early_fuse, kind):
    """Return the losses, and the gradients by parameter, of one model and batch."""
    model = build(early_fuse).eval()  # no dropout, whose random numbers differ in half precision
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    data = model.data_preprocessor(make_batch(), True)
    with kind(optimizer=optimizer).optim_context(model):
        losses = model(**data, mode="loss")
    sum(losses.values()).backward()
    return losses, {name: each.grad for name, each in model.named_parameters()}


@pytest.mark.parametrize("early_fuse", [False, True])
def test_it_computes_the_same(early_fuse):
    exact, exact_gradients = gradients(early_fuse, OptimWrapper)
    half, half_gradients = gradients(early_fuse, AmpOptimWrapper)
    for name, loss in half.items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, exact[name], rtol=5e-3, atol=0)
        assert loss != exact[name]  # it was computed in half precision
    largest = max(each.abs().max() for each in exact_gradients.values())
    for name, gradient in half_gradients.items():
        assert gradient.dtype == torch.float32
        if exact_gradients[name].abs().max() > 1e-5 * largest:  # smaller ones are rounding errors
            alike = torch.cosine_similarity(gradient.flatten(), exact_gradients[name].flatten(), 0)
            assert alike > 0.95, name


@on_cpu
def test_gradients_are_not_scaled():
    model = torch.nn.Linear(2, 1)
    optim = wrapper(model, accumulative_counts=2, clip_grad=dict(max_norm=0.5))
    assert optim.cast_dtype == torch.bfloat16
    before = model.weight.detach().clone()
    for _ in range(2):
        with optim.optim_context(model):
            out = model(torch.ones(3, 2))
        assert out.dtype == torch.bfloat16
        optim.update_params(out.float().sum())
    assert not torch.equal(model.weight, before)
    again = wrapper(torch.nn.Linear(2, 1))
    again.load_state_dict(optim.state_dict())
    assert again.optimizer.state_dict()["state"].keys() == {0, 1}


@on_cpu
@pytest.mark.parametrize("dtype", ["float16", torch.float16])
def test_float16_needs_a_gpu(dtype):
    with pytest.raises(TrainingError, match=r"float16 needs a GPU.*--amp bf16"):
        wrapper(torch.nn.Linear(2, 1), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", torch.float32, "half"])
def test_other_dtypes(dtype):
    with pytest.raises(TrainingError, match="'bfloat16' or 'float16', got dtype="):
        wrapper(torch.nn.Linear(2, 1), dtype=dtype)


def test_by_config(examples, tmp_path):
    cfg = training_config(
        examples,
        tmp_path,
        train_cfg__max_epochs=1,
        optim_wrapper__type="AmpOptimWrapper",
        optim_wrapper__dtype="bfloat16",
        **NO_VALIDATION,
    )
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    assert type(runner.optim_wrapper) is AmpOptimWrapper
    state = read_checkpoint(tmp_path / "epoch_1.pth")["state_dict"]
    kinds = {value.dtype for value in state.values()}
    assert kinds <= {torch.float32, torch.uint8, torch.int64}
    assert all(value.isfinite().all() for value in state.values())


def test_scores_under_autocast(tiny_model, monkeypatch):
    """Features are in half precision; scores are computed in float32."""
    seen = []
    decide = PostProcessor.__call__

    def watch(self, outputs, *rest):
        seen.append((outputs.token_logits[0].dtype, (torch.ones(1, 1) @ torch.ones(1, 1)).dtype))
        return decide(self, outputs, *rest)

    monkeypatch.setattr(PostProcessor, "__call__", watch)
    batch = make_batch()
    batch = dict(inputs=batch["inputs"][:1], data_samples=batch["data_samples"][:1])
    exact = tiny_model.test_step(batch)[0].pred_instances
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = tiny_model.test_step(batch)[0].pred_instances
    assert seen == [(torch.float32, torch.float32), (torch.bfloat16, torch.float32)]
    torch.testing.assert_close(half.scores[:5], exact.scores[:5], rtol=0.05, atol=0.02)
