"""Each tuning mode trains exactly its parameters and keeps the frozen modules in eval mode."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from glip.checkpoint.formats import convert
from glip.models.language import pad_captions
from glip.models.tuning import TUNINGS
from glip.registry import MODELS
from glip.structures import DetDataSample
from glip.testing import tiny_config
from glip.utils.errors import ConfigError

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", *LETTERS]
VOCABULARY += [f"##{letter}" for letter in LETTERS]

#: Parts of the official names of the parameters that a linear probe trains.
OFFICIAL_PROBE = (
    "bbox_pred.",
    "centerness.",
    "dot_product_projection_text.",
    "head.log_scale",
    "head.bias_lang",
    "head.bias0",
)

each_mode = pytest.mark.parametrize("mode", list(TUNINGS))
each_model = pytest.mark.parametrize("early_fuse", [False, True])


def build(mode: str, *, early_fuse: bool = True, **language_model) -> nn.Module:
    """A tiny detector with a vocabulary of letters, in training mode."""
    cfg = tiny_config(early_fuse=early_fuse).model
    cfg.neck.type = "FPNDropBlock"
    cfg.backbone.drop_path_rate = 0.5
    cfg.bbox_head.use_checkpoint = True
    cfg.language_model.update(language_model)
    cfg.tuning = mode
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg)
    record = json.dumps({"do_lower_case": True, "vocab": VOCABULARY}).encode()
    model.language_model.set_extra_state(torch.tensor(list(record), dtype=torch.uint8))
    return model.train()


def make_batch() -> dict:
    sample = DetDataSample(metainfo=dict(text=("cat", "dog"), img_shape=(96, 128)))
    boxes = [[10.0, 12.0, 70.0, 80.0], [60.0, 5.0, 120.0, 64.0], [2.0, 3.0, 120.0, 90.0]]
    sample.gt_instances = InstanceData(bboxes=torch.tensor(boxes), labels=torch.tensor([0, 1, 1]))
    inputs = torch.arange(3 * 96 * 128).reshape(3, 96, 128).remainder(251).to(torch.uint8)
    return dict(inputs=[inputs] * 2, data_samples=[sample, copy.deepcopy(sample)])


def trainable(model: nn.Module) -> set[str]:
    return {name for name, each in model.named_parameters() if each.requires_grad}


def losses(model: nn.Module) -> dict[str, torch.Tensor]:
    data = model.data_preprocessor(make_batch(), training=True)
    return model(**data, mode="loss")


@each_model
def test_names(early_fuse):
    every = {name for name, _ in build("full", early_fuse=early_fuse).named_parameters()}
    assert trainable(build("full", early_fuse=early_fuse)) == every
    text = {name for name in every if name.startswith("language_model.")}
    assert trainable(build("frozen_text", early_fuse=early_fuse)) == every - text
    assert text < every
    assert trainable(build("linear_probe", early_fuse=early_fuse)) == {
        "bbox_head.bbox_pred.weight",
        "bbox_head.bbox_pred.bias",
        "bbox_head.centerness.weight",
        "bbox_head.centerness.bias",
        "bbox_head.token_logits.projection.weight",
        "bbox_head.token_logits.projection.bias",
        "bbox_head.token_logits.log_scale",
        "bbox_head.token_logits.bias_lang",
        "bbox_head.token_logits.bias0",
    }
    assert trainable(build("prompt", early_fuse=early_fuse)) == {"language_model.prompt.weight"}


@each_model
def test_linear_probe_is_the_official_one(early_fuse):
    model = build("linear_probe", early_fuse=early_fuse)
    state = dict(model.named_parameters())
    official = convert(state, "official").state_dict
    expected = {id(v) for k, v in official.items() if any(part in k for part in OFFICIAL_PROBE)}
    assert {id(each) for each in state.values() if each.requires_grad} == expected


@each_mode
def test_steps_change_the_trainable_parameters(mode):
    model = build(mode)
    names = trainable(model)
    with DefaultScope.overwrite_default_scope("glip"):
        wrapper = build_optim_wrapper(
            model,
            dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01, weight_decay=0.0)),
        )
    given = [each for group in wrapper.optimizer.param_groups for each in group["params"]]
    assert {id(each) for each in given} == {
        id(each) for name, each in model.named_parameters() if name in names
    }
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    for _ in range(2):
        model.train_step(make_batch(), wrapper)
    changed = {
        name for name, each in model.named_parameters() if not torch.equal(each, before[name])
    }
    assert changed <= names
    # Unchanged: what no image of this size and no caption of this length reaches.
    assert len(changed) > 0.8 * len(names)
    if mode != "full":
        return
    assert any(name.startswith("language_model.") for name in changed)


@each_mode
def test_eval_modules(mode):
    model = build(mode)
    in_eval = {
        part
        for part in ("backbone", "neck", "bbox_head", "language_model")
        if not any(module.training for module in model.get_submodule(part).modules())
    }
    assert (
        in_eval
        == {
            "full": set(),
            "frozen_text": {"language_model"},
            "linear_probe": {"backbone", "neck", "language_model"},
            "prompt": {"backbone", "neck", "bbox_head", "language_model"},
        }[mode]
    )
    assert all(module.training for module in model.bbox_head.modules()) == (mode != "prompt")
    assert not any(module.training for module in model.eval().modules())


@each_mode
def test_dropout_by_mode(mode):
    """Dropout, DropBlock and stochastic depth are on in the trained parts, as officially."""
    model = build(mode)
    torch.manual_seed(0)
    first, second = (sum(losses(model).values()) for _ in range(2))
    assert (first == second) == (mode == "prompt")
    torch.manual_seed(0)
    captions = pad_captions([(2, 5, 6, 3)], model.language_model)
    words = [model.language_model(*captions).hidden for _ in range(2)]
    assert torch.equal(*words) == (mode != "full")
    images = torch.ones(1, 3, 64, 64)
    seen = [model.extract_feat(images)[0] for _ in range(2)]
    assert torch.equal(*seen) == (mode in ("linear_probe", "prompt"))


def test_only_the_prompt_has_a_gradient():
    model = build("prompt")
    sum(losses(model).values()).backward()
    gradient = model.language_model.prompt.weight.grad
    tokens = 9  # [CLS] c ##a ##t . d ##o ##g [SEP]
    assert gradient.shape == (1000, 48)
    assert gradient[:tokens].abs().sum(dim=1).min() > 0
    assert not gradient[tokens:].any()
    assert all(each.grad is None for name, each in model.named_parameters() if "prompt" not in name)


def test_prompt_starts_as_the_model_without():
    prompted, plain = build("prompt").eval(), build("full").eval()
    state = {k: v for k, v in plain.state_dict().items() if not k.endswith("_extra_state")}
    prompted.load_state_dict(state, strict=False)
    for name, loss in losses(plain).items():
        torch.testing.assert_close(losses(prompted)[name], loss)


def test_length_of_the_prompt():
    assert build("prompt", learned_prompt=300).language_model.prompt.weight.shape == (300, 48)
    assert build("linear_probe").language_model.prompt is None


def test_frozen_stages_stay_frozen_in_every_mode():
    cfg = tiny_config().model
    cfg.backbone.frozen_stages = 1
    cfg.tuning = "frozen_text"
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg).train()
    names = trainable(model)
    assert not any("patch_embed" in name or "stages.0.blocks" in name for name in names)
    assert any("stages.1.blocks" in name for name in names)


def test_unknown_mode():
    with pytest.raises(
        ConfigError, match="one of full, frozen_text, linear_probe, prompt, got 'a'"
    ):
        build("a")


def test_prompt_of_length_zero():
    with pytest.raises(ConfigError, match="learned_prompt to 1 or more"):
        build("prompt", learned_prompt=0)
