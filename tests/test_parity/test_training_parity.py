"""Targets, losses and gradients agree with the official code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmengine.utils import digit_version
from torch import Tensor, nn

from glip.checkpoint.key_mapping import KeyMapping
from glip.models import AnchorGenerator, ATSSAssigner, InclusiveBoxCoder
from glip.models.heads import HeadOutputs
from glip.models.heads.losses import HeadLosses
from glip.models.heads.targets import Targets, make_targets
from glip.structures import DetDataSample
from glip.text import Prompt, load_tokenizer, tokenize
from tests.test_parity.golden import CONFIGS, ROOT, SHARED, Golden, relative_error

#: Of the losses, required; we measure 0 on the stored outputs and 4e-6 through the network.
LOSS = 1e-4
#: Of gradients and their norms, required; we measure 5e-4 for one number in which large terms
#: cancel (an AttnConv bias of B) and below 1e-4 for all others.
GRADIENT = 1e-3
#: Of the largest norm: what rounding alone makes of such a number. The sums of torch 2.1 round
#: more: 3.5e-7 for the AttnConv biases of L, 3.3e-7 for one of B.
ROUNDING = 1e-7 if digit_version(torch.__version__) >= digit_version("2.2") else 5e-7

LEVELS = ["p3", "p4", "p5", "p6", "p7"]
#: Our names of the losses -> the official ones.
NAMES = {
    "loss_cls": "loss_dot_product_token",
    "loss_bbox": "loss_reg",
    "loss_centerness": "loss_centerness",
}

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the references are not at {SHARED}, beside the repository"
)


def load(letter: str) -> Golden:
    return Golden(SHARED / f"{letter}_train.npz")


@pytest.fixture(params=list(CONFIGS))
def golden(request: pytest.FixtureRequest) -> Golden:
    return load(request.param)


def stored_outputs(golden: Golden) -> HeadOutputs:
    """Return the stored outputs of the official head as HeadOutputs."""

    def tensors(name: str) -> list[Tensor]:
        return [torch.from_numpy(golden[f"{level}_{name}"]) for level in LEVELS]

    return HeadOutputs(
        token_logits=[logits[None] for logits in tensors("dot_logits")],
        deltas=[deltas.flatten(1).T[None] for deltas in tensors("bbox_reg")],
        centerness=[centerness.reshape(1, -1) for centerness in tensors("centerness")],
        sizes=[tuple(centerness.shape) for centerness in tensors("centerness")],
    )


def our_targets(golden: Golden, sizes: list[tuple[int, int]]) -> Targets:
    """The targets of our code, from the class names and the boxes."""
    tokenizer = load_tokenizer(str(ROOT / "demo" / "bert-base-uncased"))
    tokens = tokenize(Prompt.from_class_names(golden.meta["classes"]), tokenizer)
    token_map = torch.from_numpy(tokens.token_map)
    return make_targets(
        AnchorGenerator().grid_priors(sizes),
        [torch.from_numpy(golden["boxes"])],
        [token_map[torch.from_numpy(golden["labels"] - 1).long()]],
        torch.ones(1, tokens.num_tokens, dtype=torch.bool),
        ATSSAssigner(),
    )


def test_targets(golden: Golden) -> None:
    sizes = stored_outputs(golden).sizes
    targets = our_targets(golden, sizes)
    positive = golden["pos_idx"]
    np.testing.assert_array_equal(targets.positive[0].nonzero()[:, 0], positive)
    labels = golden["labels"][targets.matched[0]]
    np.testing.assert_array_equal(np.where(targets.positive[0], labels, 0), golden["anchor_labels"])
    tokens = targets.tokens.shape[2]
    stored_tokens = golden["pos_token_targets"]
    np.testing.assert_array_equal(targets.tokens[0, positive], stored_tokens[:, :tokens])
    assert not stored_tokens[:, tokens:].any()
    assert not targets.tokens[0][targets.matched[0] < 0].any()

    deltas = InclusiveBoxCoder().encode(targets.anchors, targets.boxes)
    np.testing.assert_allclose(deltas, golden["pos_reg_targets"], rtol=0, atol=1e-6)
    stored_centerness = golden["pos_centerness_targets"]
    np.testing.assert_allclose(targets.centerness, stored_centerness, rtol=0, atol=1e-6)


def test_losses_of_the_stored_outputs(golden: Golden) -> None:
    outputs = stored_outputs(golden)
    targets = our_targets(golden, outputs.sizes)
    mask = torch.ones(1, targets.tokens.shape[2], dtype=torch.bool)
    check_losses(golden, HeadLosses()(outputs, targets, mask, InclusiveBoxCoder()), atol=1e-6)


def check_losses(golden: Golden, losses: dict[str, Tensor], atol: float) -> None:
    errors = {
        name: abs(losses[name].item() / golden[official].item() - 1)
        for name, official in NAMES.items()
    }
    print(golden.name, {name: f"{error:.1e}" for name, error in errors.items()})
    assert set(losses) == set(NAMES)
    assert max(errors.values()) < atol, errors


@pytest.mark.slow
def test_gradients(reference_model: tuple[str, nn.Module]) -> None:
    """Forward and backward through the detector, one to two minutes each."""
    letter, model = reference_model
    golden = load(letter)
    sample = DetDataSample(
        metainfo={"img_path": golden.meta["image"], "text": golden.meta["classes"]}
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.from_numpy(golden["boxes"]),
        labels=torch.from_numpy(golden["labels"] - 1).long(),
    )
    model.backbone.frozen_stages = 1 if letter == "L" else -1
    # In evaluation mode nothing is dropped, as in the references.
    losses = model.eval()(torch.from_numpy(golden["input"]), [sample], mode="loss")
    check_losses(golden, losses, LOSS)
    sum(losses.values()).backward()

    blocks = len(model.bbox_head.tower.blocks)
    rename = KeyMapping(
        "glip", "official", num_blocks=blocks, fused=model.bbox_head.tower.early_fuse
    )
    gradients = {
        f"module.{rename(name)}": parameter.grad.numpy()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    model.zero_grad()
    check_norms(golden, gradients)
    check_samples(golden, gradients)


def check_norms(golden: Golden, gradients: dict[str, np.ndarray]) -> None:
    """Every stored norm; -1 stands for a parameter that does not learn."""
    stored = dict(zip(golden["grad_norm_names"], golden["grad_norm_values"], strict=True))
    assert set(gradients) == {name for name, norm in stored.items() if norm >= 0}
    rounding = ROUNDING * max(stored.values())
    errors, failed = {}, []
    for name, gradient in gradients.items():
        if name.endswith(".self.key.bias"):
            continue  # its true gradient is zero, what is stored is rounding
        norm = np.linalg.norm(gradient.astype(np.float64))
        if stored[name] == 0:  # the scales of P6 and P7, which have no positive anchor here
            assert ".scales." in name
            assert norm == 0, name
        else:
            errors[name] = abs(norm / stored[name] - 1)
            if abs(norm - stored[name]) > GRADIENT * stored[name] + rounding:
                failed.append(name)
    worst = max(errors, key=errors.__getitem__)
    print(golden.name, f"{len(errors)} norms, worst {errors[worst]:.1e} at {worst}")
    assert not failed


def check_samples(golden: Golden, gradients: dict[str, np.ndarray]) -> None:
    """The stored values of some gradients."""
    errors = {}
    for key in golden.arrays:
        if key.startswith("grad.") and key.endswith("__val"):
            name = key.removeprefix("grad.").removesuffix("__val")
            ours = gradients[name].reshape(-1)[golden[f"grad.{name}__idx"]]
            errors[name] = relative_error(ours, golden[key])
    worst = max(errors, key=errors.__getitem__)
    print(golden.name, f"{len(errors)} gradients, worst {errors[worst]:.1e} at {worst}")
    assert errors[worst] < GRADIENT, worst
