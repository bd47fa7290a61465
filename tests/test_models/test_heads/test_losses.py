"""The losses of the head: masks, divisors, and images without boxes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from glip.models import InclusiveBoxCoder, VLFusionHead
from glip.models.heads import HeadOutputs, losses
from glip.models.heads.losses import HeadLosses
from glip.models.heads.targets import Targets, centerness_targets
from glip.registry import MODELS

CODER = InclusiveBoxCoder()
ANCHORS = torch.tensor([[0.0, 0.0, 63.0, 63.0], [8.0, 0.0, 71.0, 63.0], [0.0, 0.0, 127.0, 127.0]])
TOKENS = 4


def make_outputs(batch: int) -> HeadOutputs:
    """Two levels of two positions and one."""
    torch.manual_seed(1)
    return HeadOutputs(
        token_logits=[torch.randn(batch, n, TOKENS).requires_grad_() for n in (2, 1)],
        deltas=[torch.randn(batch, n, 4).requires_grad_() for n in (2, 1)],
        centerness=[torch.randn(batch, n).requires_grad_() for n in (2, 1)],
        sizes=[(1, 2), (1, 1)],
    )


def make_targets(matched: list[list[int]]) -> Targets:
    index = torch.tensor(matched)
    anchors = ANCHORS.expand(len(index), 3, 4)[index >= 0]
    boxes = anchors + torch.tensor([3.0, -2.0, -5.0, 7.0])
    tokens = torch.zeros(*index.shape, TOKENS)
    tokens[..., 1] = (index >= 0).float()
    return Targets(index, tokens, anchors, boxes, centerness_targets(anchors, boxes))


def full_mask(batch: int) -> torch.Tensor:
    return torch.ones(batch, TOKENS, dtype=torch.bool)


def test_sums_and_divisors() -> None:
    outputs, targets = make_outputs(2), make_targets([[0, -1, 1], [-1, 0, -1]])
    found = HeadLosses()(outputs, targets, full_mask(2), CODER)
    assert list(found) == ["loss_cls", "loss_bbox", "loss_centerness"]

    module, positive = HeadLosses(), targets.positive
    logits = torch.cat(outputs.token_logits, dim=1)
    expected = module.cls(logits, targets.tokens, avg_factor=3)
    torch.testing.assert_close(found["loss_cls"], expected)
    boxes = CODER.decode(targets.anchors, torch.cat(outputs.deltas, dim=1)[positive])
    weights = targets.centerness
    expected = module.bbox(boxes, targets.boxes, weights, weights.sum())
    torch.testing.assert_close(found["loss_bbox"], expected)
    centerness = torch.cat(outputs.centerness, dim=1)[positive]
    expected = module.centerness(centerness, weights, avg_factor=3)
    torch.testing.assert_close(found["loss_centerness"], expected)


def test_padding_of_the_text_does_not_count() -> None:
    outputs, targets = make_outputs(2), make_targets([[0, -1, 1], [-1, 0, -1]])
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    before = HeadLosses()(outputs, targets, mask, CODER)["loss_cls"]
    with torch.no_grad():
        for logits in outputs.token_logits:
            logits.masked_fill_(~mask[:, None], 50000.0)
    loss = HeadLosses()(outputs, targets, mask, CODER)["loss_cls"]
    torch.testing.assert_close(loss, before)
    loss.backward()
    for logits in outputs.token_logits:
        assert not logits.grad.masked_select(~mask[:, None]).any()


def test_without_positives() -> None:
    """The token logits are trained, boxes and centerness get gradients of zero."""
    outputs, targets = make_outputs(1), make_targets([[-1, -1, -1]])
    found = HeadLosses()(outputs, targets, full_mask(1), CODER)
    assert found["loss_cls"] > 0
    assert found["loss_bbox"] == found["loss_centerness"] == 0
    sum(found.values()).backward()
    for tensor in (*outputs.deltas, *outputs.centerness):
        assert tensor.grad is not None
        assert not tensor.grad.any()
    module = HeadLosses()
    expected = module.cls(torch.cat(outputs.token_logits, 1), targets.tokens, avg_factor=1)
    torch.testing.assert_close(found["loss_cls"], expected)


def test_box_of_low_centerness_counts_in_full() -> None:
    """Unlike the number of positives, the sum of centerness may be below 1 (official)."""
    outputs, targets = make_outputs(1), make_targets([[-1, 0, -1]])
    targets = dataclasses.replace(targets, centerness=torch.tensor([0.2]))
    found = HeadLosses()(outputs, targets, full_mask(1), CODER)
    deltas = torch.cat(outputs.deltas, dim=1)[targets.positive]
    expected = HeadLosses().bbox(CODER.decode(targets.anchors, deltas), targets.boxes)
    torch.testing.assert_close(found["loss_bbox"], expected)


def test_divisors_are_means_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process with five positives, whose centerness sums to 2.5."""
    outputs, targets = make_outputs(1), make_targets([[0, -1, 1]])
    alone = HeadLosses()(outputs, targets, full_mask(1), CODER)
    seen = []

    def join(data: torch.Tensor, op: str) -> None:
        seen.append(op)
        data.add_(torch.tensor([5.0, 2.5])).div_(2)

    monkeypatch.setattr(losses, "all_reduce", join)
    together = HeadLosses()(outputs, targets, full_mask(1), CODER)
    assert seen == ["mean"]
    own = targets.centerness.sum()
    for name, ratio in (
        ("loss_cls", 2 / 3.5),
        ("loss_bbox", own / ((own + 2.5) / 2)),
        ("loss_centerness", 2 / 3.5),
    ):
        torch.testing.assert_close(together[name], alone[name] * ratio)


def test_half_precision_outputs() -> None:
    outputs, targets = make_outputs(1), make_targets([[0, -1, 1]])
    half = HeadOutputs(
        [x.half() for x in outputs.token_logits],
        [x.half() for x in outputs.deltas],
        [x.half() for x in outputs.centerness],
        outputs.sizes,
    )
    expected = HeadLosses()(outputs, targets, full_mask(1), CODER)
    for name, loss in HeadLosses()(half, targets, full_mask(1), CODER).items():
        assert loss.dtype == torch.float32
        torch.testing.assert_close(loss, expected[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", ["VLFusionHead", "ATSSVLFusionHead"])
def test_configs_of_mmdetection(kind: str) -> None:
    """The head takes losses and assigner as MMDetection's fine-tuning configs give them."""
    options = dict(type=kind, in_channels=32)
    if kind == "ATSSVLFusionHead":
        options |= dict(feat_channels=32, lang_model_name="bert-base-uncased", num_classes=80)
    options |= dict(
        text_channels=24,
        num_dyhead_blocks=1,
        loss_cls=dict(type="FocalLoss", use_sigmoid=True, gamma=1.5, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type="GIoULoss", loss_weight=3.0),
        loss_centerness=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=4.0),
        train_cfg=dict(
            assigner=dict(
                type="ATSSAssigner", topk=7, iou_calculator=dict(type="BboxOverlaps2D_GLIP")
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
    )
    head = MODELS.build(options)
    assert head.assigner.topk == 7
    assert head.losses.cls.gamma == 1.5
    assert head.losses.bbox.loss_weight == 3.0
    assert head.losses.centerness.loss_weight == 4.0
    assert not [name for name in head.state_dict() if name.startswith("losses")]


def test_official_defaults() -> None:
    head = VLFusionHead(in_channels=32, text_channels=24, num_dyhead_blocks=1)
    assert head.assigner.topk == 9
    assert (head.losses.cls.gamma, head.losses.cls.alpha, head.losses.cls.loss_weight) == (
        2.0,
        0.25,
        1.0,
    )
    assert (head.losses.bbox.loss_weight, head.losses.bbox.eps) == (2.0, 1e-7)
    assert head.losses.centerness.loss_weight == 1.0


@pytest.mark.parametrize(
    "option", [dict(allowed_border=0), dict(pos_weight=2.0), dict(debug=True), dict(sampler=dict())]
)
def test_refused_train_cfg(option: dict) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"got {name}="):
        VLFusionHead(in_channels=32, text_channels=24, num_dyhead_blocks=1, train_cfg=option)


def test_other_feat_channels() -> None:
    with pytest.raises(ValueError, match="expected feat_channels == in_channels, got 16 and 32"):
        VLFusionHead(in_channels=32, feat_channels=16)
