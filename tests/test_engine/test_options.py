"""Training options of a config."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.checkpoint import read_checkpoint
from glip.engine import GLIPRunner
from glip.registry import MODELS
from tests.test_models.test_detectors.test_training import make_batch
from tests.training import NO_VALIDATION, training_config

SHORT = dict(early_fuse=False, train_cfg__max_epochs=1, **NO_VALIDATION)


def run(cfg) -> GLIPRunner:
    runner = GLIPRunner.from_cfg(cfg)
    runner.train()
    return runner


def stored(cfg) -> tuple[dict, dict, int]:
    """Return losses, gradients, and the bytes that the forward pass saves for the backward pass."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).train()
    data = model.data_preprocessor(make_batch(), True)
    kept = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    torch.manual_seed(1)  # recomputed dropout must use the same mask
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = model(**data, mode="loss")
    sum(losses.values()).backward()
    return losses, {name: each.grad for name, each in model.named_parameters()}, sum(kept)


@pytest.mark.parametrize(
    "option",
    ["backbone__with_cp", "language_model__use_checkpoint", "bbox_head__use_checkpoint"],
)
def test_gradient_checkpointing(examples, tmp_path, option):
    losses, gradients, size = stored(training_config(examples, tmp_path))
    cfg = training_config(examples, tmp_path, **{f"model__{option}": True})
    same_losses, same_gradients, smaller = stored(cfg)
    assert smaller < 0.99 * size
    assert all(torch.equal(same_losses[name], losses[name]) for name in losses)
    for name, gradient in gradients.items():
        torch.testing.assert_close(same_gradients[name], gradient, rtol=1e-4, atol=1e-6)


def test_clipping(examples, tmp_path):
    """A step is at most the learning rate times the maximum norm."""
    cfg = training_config(examples, tmp_path, **SHORT)
    cfg.optim_wrapper = dict(
        type="OptimWrapper",
        optimizer=dict(type="SGD", lr=1.0),
        clip_grad=dict(max_norm=1e-3, norm_type=2),
    )
    cfg.param_scheduler = None
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=1)
    runner = GLIPRunner.from_cfg(cfg)
    before = [each.detach().clone() for each in runner.model.parameters()]
    runner.train()
    moved = [now - then for now, then in zip(runner.model.parameters(), before, strict=True)]
    length = torch.cat([each.detach().flatten() for each in moved]).norm().item()
    assert length == pytest.approx(1e-3, rel=0.01)
    assert runner.message_hub.get_scalar("train/grad_norm").current() > 1e-2


def test_averaged_weights_are_deployed(examples, tmp_path):
    cfg = training_config(
        examples, tmp_path, custom_hooks=[dict(type="EMAHook", momentum=0.5)], **SHORT
    )
    cfg.train_cfg.max_epochs = 1
    runner = run(cfg)
    checkpoint = read_checkpoint(tmp_path / "epoch_1.pth")
    current = runner.model.state_dict()
    key = "bbox_head.bbox_pred.weight"
    assert torch.equal(checkpoint["ema_state_dict"][f"module.{key}"], current[key])
    assert not torch.equal(checkpoint["state_dict"][key], current[key])


def test_early_stopping(examples, tmp_path):
    """With a learning rate of zero, the second validation does not improve."""
    cfg = training_config(
        examples,
        tmp_path,
        early_fuse=False,
        train_cfg__max_epochs=9,
        optim_wrapper__optimizer__lr=0.0,
        custom_hooks=[
            dict(type="EarlyStoppingHook", monitor="coco/bbox_mAP", min_delta=0.001, patience=1)
        ],
        log_level="INFO",
    )
    runner = run(cfg)
    assert runner.epoch == 2
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert "the monitored metric did not improve in the last 1 records" in log


def test_early_stopping_needs_no_training_data_in_a_test(examples, tmp_path):
    """A fine-tuned model can be tested without its training data."""
    cfg = training_config(
        examples,
        tmp_path,
        custom_hooks=[dict(type="EarlyStoppingHook", monitor="coco/bbox_mAP")],
        train_dataloader__dataset__ann_file="not here.json",
    )
    assert "coco/bbox_mAP" in GLIPRunner.from_cfg(cfg).test()


@pytest.mark.parametrize("batch_size", [2, 4])
def test_scaling_the_learning_rate(examples, tmp_path, batch_size):
    cfg = training_config(
        examples, tmp_path, auto_scale_lr=dict(enable=True, base_batch_size=16), **SHORT
    )
    cfg.train_dataloader.batch_size = batch_size
    cfg.param_scheduler = None
    runner = run(cfg)
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(1e-3 * batch_size / 16)]


def test_tensorboard(examples, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    cfg = training_config(examples, tmp_path, **SHORT)
    cfg.visualizer.vis_backends = [dict(type="TensorboardVisBackend")]
    run(cfg)
    (file,) = tmp_path.glob("*/*/events.*")
    events = reader.EventAccumulator(str(file)).Reload()
    names = {"loss", "loss_cls", "loss_bbox", "loss_centerness", "lr", "memory", "time"}
    assert names <= set(events.Tags()["scalars"])
    assert [each.step for each in events.Scalars("loss")] == [2, 4]


@pytest.mark.parametrize("options", [dict(update_buffers=True), dict(begin_iter=2), {}])
def test_averaged_model_has_the_tokenizer(examples, tmp_path, options):
    """The model loads its tokenizer after the average has copied the model."""
    hook = dict(type="EMAHook", momentum=0.5, **options)
    cfg = training_config(examples, tmp_path, custom_hooks=[hook], **SHORT)
    cfg.train_cfg = dict(type="IterBasedTrainLoop", max_iters=3)
    runner = run(cfg)
    (path,) = tmp_path.glob("*.pth")
    state = read_checkpoint(path)["state_dict"]
    name = "language_model._extra_state"
    assert torch.equal(state[name], runner.model.state_dict()[name])
    assert state[name].numel() > 1000
    key = "bbox_head.bbox_pred.weight"
    assert not torch.equal(state[key], runner.model.state_dict()[key])
