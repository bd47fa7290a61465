"""What pre-training starts from: the weights of both files, and a checkpoint that trains."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from transformers import BertConfig, BertModel

from glip.apis import load_config
from glip.checkpoint import load_checkpoint
from glip.registry import MODELS
from glip.utils.errors import CheckpointError
from tests.test_tools.commands import CONFIGS, command, small_config, tool

TOOL = "model_converters/start_pretraining.py"
NAME = "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365"


@pytest.fixture(scope="module")
def bert(vocabulary, tmp_path_factory) -> Path:
    """The folder of a small BERT that somebody trained."""
    folder = tmp_path_factory.mktemp("bert")
    for file in Path(vocabulary).iterdir():
        shutil.copy(file, folder)
    sizes = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96)
    torch.manual_seed(7)
    BertModel(BertConfig(**sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def config(vocabulary, tmp_path_factory) -> Path:
    return small_config(CONFIGS / f"{NAME}.py", tmp_path_factory.mktemp("config"), vocabulary)


@pytest.fixture(scope="module")
def swin(config, tmp_path_factory) -> tuple[Path, dict]:
    """A file as microsoft/Swin-Transformer's, and the weights in our names."""
    cfg = load_config(config)
    with DefaultScope.overwrite_default_scope("glip"):
        backbone = MODELS.build(cfg.model.backbone)
    weights = {
        key: torch.randn_like(value)
        for key, value in backbone.state_dict().items()
        if not key.startswith("norm")
    }
    content = {key.replace("stages.", "layers."): value for key, value in weights.items()}
    content["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49)
    content["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 49, 49)
    content |= {"norm.weight": torch.ones(64), "norm.bias": torch.ones(64)}
    content |= {"head.weight": torch.ones(10, 64), "head.bias": torch.ones(10)}
    path = tmp_path_factory.mktemp("swin") / "swin.pth"
    torch.save({"model": content}, path)
    return path, weights


def test_weights_of_both(config, swin, bert, tmp_path):
    path, weights = swin
    dst = tmp_path / "start.safetensors"
    printed = command(*(f"tools/{TOOL}", config, dst, "--backbone", path, "--language-model", bert))
    assert f"wrote {dst}" in printed
    cfg = load_config(config, {"lang_model_name": "nowhere"})  # the vocabulary is carried along
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model)
    load_checkpoint(model, dst)
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key], value) for key, value in weights.items())
    assert own.keys() - weights.keys() == {
        f"norm{index}.{part}" for index in (1, 2, 3) for part in ("weight", "bias")
    }
    source = BertModel.from_pretrained(bert, add_pooling_layer=False)
    for key, value in source.state_dict().items():
        assert torch.equal(model.language_model.bert.state_dict()[key], value)
    assert model.language_model.tokenizer.tokenize("a dog") == ["a", "dog"]


def test_what_does_not_fit(config, swin, bert, tmp_path):
    path, weights = swin
    cut = dict(weights, **{"patch_embed.proj.weight": torch.ones(4, 3, 4, 4)})
    torch.save(cut, tmp_path / "cut.pth")
    arguments = [str(config), str(tmp_path / "start.pth"), "--language-model"]
    with pytest.raises(CheckpointError, match=r"1 parameters differ.*'patch_embed.proj.weight'"):
        tool(TOOL).main([*arguments, str(bert), "--backbone", str(tmp_path / "cut.pth")])
    wide = str(CONFIGS / f"{NAME}.py")
    with pytest.raises(CheckpointError, match="does not fit the config's SwinTransformer"):
        tool(TOOL).main([wide, *arguments[1:], str(bert), "--backbone", str(path)])
    empty = tmp_path / "empty"
    empty.mkdir()
    for file in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(bert / file, empty)
    with pytest.raises(CheckpointError, match="BERT cannot be loaded from"):
        tool(TOOL).main([*arguments, str(empty), "--backbone", str(path)])
    assert not (tmp_path / "start.pth").exists()
