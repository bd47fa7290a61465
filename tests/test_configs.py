"""The configs that ship: each evaluation config is a model's config and a task."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

import glip
from glip.apis import load_config
from glip.apis.evaluation import build_evaluator
from glip.registry import DATASETS

ROOT = glip.config.config_root() / "glip"
#: Configs to train, which are no tasks; see tests/test_tools/test_pretrain*.py.
OTHERS = ("_templates", "experiment", "pretrain")
TASKS = sorted(path.stem for path in ROOT.glob("*/*.py") if path.parent.name not in OTHERS)
MODELS = {
    "t_a": "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365",
    "t_bc": "glip_atss_swin-t_b_fpn_dyhead_pretrain_obj365",
    "t_c": "glip_atss_swin-t_c_fpn_dyhead_pretrain_obj365-goldg",
    "l": "glip_atss_swin-l_fpn_dyhead_pretrain_mixeddata",
}


def test_every_model_has_every_task():
    for task in ("lvis", "flickr30k", "refcoco", "odinw"):
        models = {path.stem.split("swin-")[1].split("_fpn")[0] for path in (ROOT / task).iterdir()}
        assert models >= {"t_a", "l"}
        assert models & {"t_bc", "t_c"}


def test_names_are_unique():
    assert len(set(glip.list_configs())) == len(glip.list_configs())


@pytest.mark.parametrize("name", TASKS)
def test_model_is_the_pretrained_one(name):
    model = load_config(name).model.to_dict()
    pretrained = load_config(MODELS[name.split("swin-")[1].split("_fpn")[0]]).model.to_dict()
    if "lvis" in name:
        assert model["test_cfg"].pop("chunked_size") == 40
        assert model["test_cfg"].pop("max_per_img") == 300
        pretrained["test_cfg"].pop("max_per_img")
    assert model == pretrained


@pytest.mark.parametrize("name", TASKS)
def test_parts_are_known(name):
    cfg = load_config(name)
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.val_evaluator == cfg.test_evaluator
    dataset = cfg.test_dataloader.dataset
    leaves = dataset.get("datasets", [dataset])
    for leaf in leaves:
        leaf.update(lazy_init=True)
    with DefaultScope.overwrite_default_scope("glip"):
        for leaf in leaves:
            built = DATASETS.build(leaf)
            assert Path(built.ann_file).is_relative_to(cfg.data_root)
            assert [type(step).__name__ for step in built.pipeline.transforms] == [
                step["type"] for step in cfg.test_pipeline
            ]
        evaluator = build_evaluator(cfg)
    assert len(evaluator.metrics) == len(leaves)


@pytest.mark.parametrize("edition", [13, 35])
def test_odinw(edition):
    cfg = load_config(f"glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw{edition}")
    datasets = cfg.test_dataloader.dataset.datasets
    assert len(datasets) == len(cfg.test_evaluator.dataset_prefixes) == edition
    for each in datasets:
        classes = each.metainfo.classes
        assert len(set(classes)) == len(classes) > 0
        assert set(each.metainfo.get("caption_prompt", ())) <= set(classes)
        assert Path(each.ann_file).name.startswith("new_") == ("category_names" in each.metainfo)


#: Where docs/evaluate.md says microsoft/GLIP takes another split.
MINI_VAL = {
    13: {3: "EgoHands", 12: "VehiclesOpenImages"},
    35: {
        6: "brackishUnderwater",
        10: "DroneControl",
        11: "EgoHands_generic",
        12: "EgoHands_specific",
        17: "openPoetryVision",
        18: "OxfordPets_by_breed",
        19: "OxfordPets_by_species",
        20: "PKLot",
        31: "UnoCards",
        32: "VehiclesOpenImages",
        34: "websiteScreenshots",
    },
}


@pytest.mark.parametrize(("edition", "places"), MINI_VAL.items())
def test_other_splits_of_odinw(edition, places):
    options = dict(data_root="elsewhere/")
    for at in places:
        place = f"test_dataloader.dataset.datasets.{at}"
        options[f"{place}.ann_file"] = "mini_val/annotations_without_background.json"
        options[f"{place}.data_prefix.img"] = "mini_val/"
    cfg = load_config(f"glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw{edition}", options)
    for at, name in places.items():
        assert cfg.test_evaluator.dataset_prefixes[at] == name
        with DefaultScope.overwrite_default_scope("glip"):
            built = DATASETS.build({**cfg.test_dataloader.dataset.datasets[at], "lazy_init": True})
        folder = Path(built.ann_file).parent
        assert (folder.name, folder.parts[:2]) == ("mini_val", ("elsewhere", name.split("_")[0]))
        assert Path(built.data_prefix["img"]) == folder


def test_nothing_of_the_table_leaks():
    cfg = load_config("glip_atss_swin-t_a_fpn_dyhead_pretrain_odinw13")
    assert not [name for name in cfg if name.startswith("_")]
    assert cfg.odinw13 is None
    assert cfg.odinw35 is None
