"""Configs, options, devices, and what is said of those that cannot be used."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

import glip
from glip.apis import apply_cfg_options, init_detector, load_config
from glip.apis.build import check_device, default_device
from glip.utils.errors import ConfigError

NAME = "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"


@pytest.mark.parametrize("config", [NAME, f"{NAME}.py", f"configs/glip/{NAME}.py"])
def test_load_by_name(config):
    assert load_config(config).model.to_dict() == glip.get_config(NAME).model.to_dict()


def test_loaded_config_is_a_copy(tiny_cfg):
    before = tiny_cfg.model.to_dict()
    cfg = load_config(tiny_cfg, {"model.test_cfg.max_per_img": 3})
    assert cfg.model.test_cfg.max_per_img == 3
    assert tiny_cfg.model.to_dict() == before


def test_lang_model_name_reaches_the_language_model():
    cfg = load_config(NAME, {"lang_model_name": "here"})
    assert cfg.lang_model_name == cfg.model.language_model.name == "here"
    # What is said of the language model itself counts more.
    options = {"model.language_model.name": "there", "lang_model_name": "here"}
    assert load_config(NAME, options).model.language_model.name == "there"


@pytest.mark.parametrize(
    "options", [{"model.test_cfg.score_thr.a": 1}, {"test_pipeline.9.scale": (1, 2)}]
)
def test_options_that_do_not_fit(options):
    with pytest.raises(ConfigError, match="does not fit the config"):
        apply_cfg_options(glip.get_config(NAME), options)


def test_mmdet_scope_is_ours():
    cfg = Config(dict(default_scope="mmdet"))
    assert load_config(cfg).default_scope == "glip"
    assert cfg.default_scope == "mmdet"
    assert load_config(Config(dict(default_scope="mine"))).default_scope == "mine"


def test_no_such_config():
    with pytest.raises(FileNotFoundError, match=r"Close names: .*obj365"):
        load_config("glip_swin-t_a_obj365")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.py", "model = dict("),  # no Python
        ("a.py", "model = dict(type=undefined)"),  # fails when it runs
        ("a.py", "_base_ = 'nowhere.py'"),
        ("a.txt", "a photograph, perhaps"),
        ("a.json", "{"),
    ],
)
def test_files_that_are_no_config(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=rf"{name} cannot be read as a config \(\w+") as caught:
        load_config(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (dict(type="FasterRCNN", backbone=dict(type="ResNet")), "there is no model 'FasterRCNN'"),
        (
            dict(type="SwinTransformer", depths=[1, 1], num_heads=[1, 1], out_indices=[1]),
            "is a SwinTransformer",
        ),
        (dict(type="GLIP"), "needs backbone and neck and bbox_head and language_model"),
        (dict(backbone=dict(type="ResNet")), "expected model as a dictionary with a type"),
        ("GLIP", "expected model as a dictionary"),
    ],
)
def test_configs_of_other_models(model, message):
    with pytest.raises(ConfigError, match=message) as caught:
        init_detector(Config(dict(model=model)), device="cpu")
    assert "expected a config of a GLIP" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_part_of_another_library(tiny_cfg):
    with pytest.raises(ConfigError, match="there is no model 'ResNet'"):
        init_detector(tiny_cfg, device="cpu", cfg_options={"model.backbone.type": "ResNet"})
    with pytest.raises(ConfigError, match="no option 'depth': did you mean 'depths'"):
        init_detector(tiny_cfg, device="cpu", cfg_options={"model.backbone.depth": 50})


def test_config_without_model(tmp_path):
    path = tmp_path / "data_only.py"
    path.write_text("dataset_type = 'CocoDataset'")
    with pytest.raises(ConfigError, match=r"data_only.py has no `model`"):
        init_detector(path, device="cpu")
    # Options must not make half a model.
    with pytest.raises(ConfigError, match="expected a config of a GLIP"):
        init_detector(path, device="cpu", cfg_options={"lang_model_name": "here"})


def test_devices():
    assert check_device("cpu") == torch.device("cpu")
    assert check_device(torch.device("cpu")) == torch.device("cpu")
    cuda = torch.cuda.is_available()
    assert default_device() == ("cuda:0" if cuda else "cpu")
    missing = f"cuda:{torch.cuda.device_count()}" if cuda else "cuda"
    for device in (missing, "gpu", "cpu:x", "meta", "meta:0", torch.device("meta")):
        with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here") as caught:
            check_device(device)
        assert "--device cpu" in str(caught.value)


@pytest.mark.parametrize("extension", ["yaml", "yml", "json", "YAML"])
@pytest.mark.parametrize(
    "content",
    [
        "a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [ran]]",
        '{"custom_imports": {"imports": ["ran"], "allow_failed_imports": false}}',
        '{"_base_": "ran.py"}',
        '{"model": {"type": "pathlib.Path.touch", "self": "ran"}}',
        "&a [*a]",
        "{" * 10000,
        "",
    ],
)
def test_data_files_are_no_configs(extension, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ran.py").write_text("open('ran', 'w')")
    path = tmp_path / f"a.{extension}"
    path.write_text(content)
    with pytest.raises(ConfigError, match="A config is a program: load only those that you trust"):
        load_config(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("extension", [".yml", ".yaml", ".json", ".YML"])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_base_that_could_run_code(tmp_path, extension, depth):
    """mmengine reads YAML with a loader that calls any function."""
    made = tmp_path / "made"
    text = f"a: !!python/object/apply:os.mkdir ['{made}']"
    (tmp_path / f"b{extension}").write_text("{}" if extension == ".json" else text)
    (tmp_path / "a1.py").write_text(f"_base_ = ['./b{extension}']\nc = 1\n")
    (tmp_path / "a2.py").write_text("_base_ = 'a1.py'\n")
    with pytest.raises(ConfigError, match=r"_base_ .* file, which could run code unseen"):
        load_config(tmp_path / f"a{depth}.py")
    assert not made.exists()
