"""A non-finite loss stops the training before the checkpoint is saved."""

from __future__ import annotations

import pytest
import torch
from mmengine.hooks import Hook

from glip.engine import GLIPRunner, InvalidLossHook
from glip.utils.errors import TrainingError
from tests.training import NO_VALIDATION, training_config

OPTIONS = dict(early_fuse=False, train_cfg__max_epochs=1, **NO_VALIDATION)


class SetNaN(Hook):
    """Sets a weight to NaN before the third iteration."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            torch.nn.init.constant_(runner.model.bbox_head.bbox_pred.bias, float("nan"))


def train(examples, tmp_path, **options):
    cfg = training_config(
        examples,
        tmp_path,
        default_hooks__checkpoint=dict(by_epoch=False, interval=1),
        **OPTIONS,
        **options,
    )
    runner = GLIPRunner.from_cfg(cfg)
    runner.register_hook(SetNaN())
    runner.train()


def test_it_names_the_images_and_saves_nothing(examples, tmp_path):
    with pytest.raises(TrainingError) as caught:
        train(examples, tmp_path)
    message = str(caught.value)
    assert "the loss is not finite in iteration 3 (" in message
    assert "loss_bbox=nan" in message
    assert "loss_cls=" not in message
    assert message.count(f"{examples}/coco/val2017/") == 2
    assert "--resume" in message
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_1.pth", "iter_2.pth"]


def test_it_can_be_disabled(examples, tmp_path):
    """The training continues with a non-finite loss; weights that are not finite are not saved."""
    with pytest.raises(TrainingError, match=r"not finite any more .*iter_3\.pth is not saved"):
        train(examples, tmp_path, default_hooks__invalid_loss=None)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -float("inf")])
def test_non_finite_values(value):
    class Runner:
        iter = 7

    outputs = dict(loss=torch.tensor(value), loss_cls=torch.tensor(1.0))
    with pytest.raises(TrainingError, match=r"iteration 8 \(loss=.*Images of the batch: unknown"):
        InvalidLossHook().after_train_iter(Runner, 0, None, outputs)
    InvalidLossHook().after_train_iter(Runner, 0, None, dict(loss=torch.tensor(3.0)))
