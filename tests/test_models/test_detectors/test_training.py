"""The detector in training: prompts and annotations in, losses and gradients out."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from glip.registry import MODELS
from glip.structures import DetDataSample
from glip.testing import tiny_config
from glip.utils.errors import PromptError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: Every word, letter by letter.
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", *LETTERS]
VOCABULARY += [f"##{letter}" for letter in LETTERS]


def build(early_fuse: bool = True) -> nn.Module:
    """A tiny detector with a vocabulary of letters, which needs no file."""
    cfg = tiny_config(early_fuse=early_fuse)
    cfg.model.neck.type = "FPNDropBlock"
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model)
    record = json.dumps({"do_lower_case": True, "vocab": VOCABULARY}).encode()
    model.language_model.set_extra_state(torch.tensor(list(record), dtype=torch.uint8))
    return model


def make_sample(
    text: str | Sequence[str], boxes: Sequence[Sequence[float]], labels: Sequence[int]
) -> DetDataSample:
    sample = DetDataSample(
        metainfo={"text": text, "img_path": "folder/cat.jpg", "img_shape": (96, 128)}
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
    )
    return sample


def make_batch() -> dict:
    torch.manual_seed(1)
    boxes = [[10.0, 12.0, 70.0, 80.0], [60.0, 5.0, 120.0, 64.0]]
    return {
        "inputs": [torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8) for _ in range(3)],
        "data_samples": [
            make_sample(("cat", "traffic light"), boxes, [1, 0]),
            make_sample(("dog",), [], []),
            make_sample("a cat and a dog . a hat", boxes[:1], [0]),
        ],
    }


@pytest.mark.parametrize("early_fuse", [False, True])
def test_train_steps(early_fuse: bool) -> None:
    """Prompts of several lengths in a batch, one image without boxes; the losses fall."""
    model = build(early_fuse)
    model.train()
    wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=1e-3))
    totals = []
    for _ in range(4):
        logged = model.train_step(make_batch(), wrapper)
        assert {"loss", "loss_cls", "loss_bbox", "loss_centerness"} <= set(logged)
        totals.append(logged["loss"].item())
    assert all(torch.isfinite(torch.tensor(totals)))
    assert totals[-1] < totals[0]
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name


def losses_of(model: nn.Module, samples: list[DetDataSample]) -> dict[str, torch.Tensor]:
    inputs = torch.zeros(len(samples), 3, 96, 128)
    return model(inputs, samples, mode="loss")


def test_padding_to_the_longest_changes_nothing() -> None:
    model = build().eval()
    sample = make_sample(("cat",), [[10.0, 12.0, 70.0, 80.0]], [0])
    alone = losses_of(model, [sample])
    model.language_model.pad_to_max = True
    padded = losses_of(model, [sample])
    for name, loss in alone.items():
        torch.testing.assert_close(padded[name], loss, rtol=1e-4, atol=1e-5)


def test_batch_without_boxes() -> None:
    model = build()
    losses = losses_of(model, [make_sample(("cat",), [], [])] * 2)
    assert losses["loss_bbox"] == losses["loss_centerness"] == 0
    sum(losses.values()).backward()
    assert model.bbox_head.bbox_pred.weight.grad is not None
    assert not model.bbox_head.bbox_pred.weight.grad.any()


def test_a_prompt_is_not_cut_in_training() -> None:
    model = build()
    model.chunked_size = 1  # for evaluation only
    sample = make_sample(["abcdefgh"] * 40, [], [])
    with pytest.raises(PromptError, match=r"'folder/cat.jpg' takes \d+ tokens .* reads 256"):
        losses_of(model, [sample])
    losses_of(model, [make_sample(["cat", "dog"], [[9.0, 9.0, 70.0, 70.0]], [1])])


@pytest.mark.parametrize("label", [-1, 2])
def test_label_without_a_phrase(label: int) -> None:
    sample = make_sample(("cat", "dog"), [[10.0, 12.0, 70.0, 80.0]], [label])
    with pytest.raises(
        ValueError, match=r"cat.jpg' has labels from .* expected labels from 0 to 1"
    ):
        losses_of(build(), [sample])


def test_no_annotations() -> None:
    sample = DetDataSample(metainfo={"text": ("cat",), "img_id": 7})
    with pytest.raises(ValueError, match="image 7 has no annotations"):
        losses_of(build(), [sample])


def test_no_prompt() -> None:
    with pytest.raises(PromptError, match="no prompt"):
        losses_of(build(), [DetDataSample()])


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="'loss', 'predict' or 'tensor', got 'train'"):
        build()(torch.zeros(1, 3, 96, 128), [DetDataSample()], mode="train")
