"""Find and build the shipped configs; each states only its difference."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import glip
from glip.config import config_files, find_config, find_weights, list_models
from glip.registry import MODELS

A = "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365"
B = "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365"
C = "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg"
T = "glip_atss_swin-t_fpn_dyhead_pretrain_obj365-goldg-cc3m-sub"
L = "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata"

#: Config -> published COCO AP and file of the weights.
MODELS_TABLE = {
    A: (43.0, "glip_tiny_a_mmdet-b3654169.pth"),
    B: (44.9, "glip_tiny_b_mmdet-6dfbd102.pth"),
    C: (46.7, "glip_tiny_c_mmdet-2fc427dd.pth"),
    T: (46.4, "glip_tiny_mmdet-c24ce662.pth"),
    L: (51.3, "glip_l_mmdet-abfe026b.pth"),
}
#: The same of the models that were fine-tuned on COCO; of the file's name only the end.
FINE_TUNED = {
    "glip_atss_swin-t_a_fpn_dyhead_16xb2_ms-2x_funtune_coco": (53.3, "e6addd96.pth"),
    "glip_atss_swin-t_b_fpn_dyhead_16xb2_ms-2x_funtune_coco": (54.1, "650323ba.pth"),
    "glip_atss_swin-t_c_fpn_dyhead_16xb2_ms-2x_funtune_coco": (55.2, "4ba3fc3b.pth"),
    "glip_atss_swin-t_fpn_dyhead_16xb2_ms-2x_funtune_coco": (55.4, "ba97be24.pth"),
    "glip_atss_swin-l_fpn_dyhead_16xb2_ms-2x_funtune_coco": (59.4, "e9be4274.pth"),
}


def leaves(node: object, path: tuple = ()) -> dict[tuple, object]:
    """Return the values of a config that are not dictionaries, by their path."""
    if isinstance(node, dict):
        return {k: v for key, value in node.items() for k, v in leaves(value, (*path, key)).items()}
    return {path: node}


def own_leaves(name: str) -> dict[tuple, object]:
    """Return the values that the file itself states."""
    stated = runpy.run_path(str(find_config(name)))
    return leaves({key: value for key, value in stated.items() if not key.startswith("_")})


# Finding


def test_names():
    names = glip.list_configs()
    assert set(names) >= {A, B, C, T, L}
    assert max(Counter(names).values()) == 1  # a name means one file
    assert not {"default_runtime", "coco_detection", "custom_coco"} & set(names)


@pytest.mark.parametrize("spelling", ["{}", "{}.py", "configs/glip/{}.py", "/elsewhere/{}"])
def test_get_config(spelling):
    cfg = glip.get_config(spelling.format(A))
    assert isinstance(cfg, Config)
    assert Path(cfg.filename).stem == A
    assert cfg.model.type == "GLIP"


def test_close_names():
    with pytest.raises(FileNotFoundError, match="Close names") as caught:
        glip.get_config("glip_atss_swin-t_a_fpn_dyhead_pretrain_o365")
    assert "'glip_atss_swin-t_a_fpn_dyhead_pretrain_o365'" in str(caught.value)
    assert A in str(caught.value)
    assert "list_configs" in str(caught.value)
    with pytest.raises(FileNotFoundError, match="Close names"):
        glip.get_config("zzz")  # nothing is close


def test_base_files_are_not_configs():
    with pytest.raises(FileNotFoundError):
        glip.get_config("default_runtime")


def test_installed_package(tmp_path, monkeypatch):
    """``pip install .`` puts the configs into the package."""
    folder = tmp_path / ".mim" / "configs" / "_odd_" / "glip"
    folder.mkdir(parents=True)
    (tmp_path / ".mim" / "configs" / "glip_x.py").write_text("a = 1")
    (folder / "hidden.py").write_text("a = 2")
    monkeypatch.setattr("glip.config._PACKAGE", tmp_path)
    assert glip.list_configs() == ["glip_x"]
    assert glip.get_config("glip_x").a == 1


# The five models


@pytest.mark.parametrize(
    "file",
    [file for file in config_files() if "glip_nano_shapes" not in file.stem],  # they run in tests
    ids=lambda file: file.stem,
)
def test_model_builds(file):
    cfg = Config.fromfile(file)
    assert cfg.default_scope == "glip"
    with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
        model = MODELS.build(cfg.model)
    large = "swin-l" in file.stem
    assert len(model.bbox_head.tower.blocks) == (8 if large else 6)
    assert model.bbox_head.tower.early_fuse == ("swin-t_a_" not in file.stem)
    assert model.bbox_head.postprocess.iou_threshold == 0.6
    assert model.backbone.stages[0].blocks[0].window_size == (12 if large else 7)


def test_numbers_of_parameters():
    """In millions; those of the official checkpoints without what the conversion ignores."""
    counts = {}
    for name in (A, B, L):
        with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
            model = MODELS.build(glip.get_config(name).model)
        counts[name] = round(sum(p.numel() for p in model.parameters()) / 1e6, 1)
    assert counts == {A: 151.4, B: 231.8, L: 430.4}


@pytest.mark.parametrize(("name", "base"), [(B, A), (C, B), (T, C), (L, T)])
def test_only_the_difference_from_the_one_before(name, base):
    source = find_config(name).read_text()
    assert f'_base_ = "./{base}.py"' in source
    before, after = (leaves(glip.get_config(one).to_dict()) for one in (base, name))
    own = own_leaves(name)
    assert after == before | own
    assert [path for path, value in own.items() if before.get(path) == value] == []


def test_differences_between_the_models():
    stated = {name: set(own_leaves(name)) for name in (B, C, T)}
    assert stated == {B: {("model", "bbox_head", "early_fuse")}, C: set(), T: set()}
    parts = {path[1] for path in own_leaves(L)}
    assert parts == {"backbone", "neck", "bbox_head"}


# The metafile


def test_metafile():
    models = list_models()
    assert list(models) == [*MODELS_TABLE, *FINE_TUNED]
    for name, (ap, file) in (MODELS_TABLE | FINE_TUNED).items():
        entry = models[name]
        result = entry["Results"][0]
        assert entry["Config"] == f"configs/glip/{name}.py"
        assert find_config(name) == find_config(entry["Config"])
        assert result["Metrics"]["box AP"] == ap
        assert all("not measured here" in each["Source"] for each in entry["Results"])
        assert entry["Weights"].endswith(file)


def test_weights():
    for spelling in (A, f"{A}.py", f"configs/glip/{A}.py"):
        assert find_weights(spelling) == (
            "https://download.openmmlab.com/mmdetection/v3.0/glip/glip_tiny_a_mmdet-b3654169.pth"
        )
    assert find_weights("my_own.py") is None
