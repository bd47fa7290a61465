"""Options that change all values that a config has computed from a variable."""

from __future__ import annotations

import sys

import pytest
from mmengine.config import Config

import glip
from glip.apis import apply_cfg_options, load_config
from glip.utils.errors import ConfigError
from tests.test_tools.commands import CONFIGS

A = "glip_atss_swin-t_a_fpn_dyhead_pretrain"


def strings(node):
    """Yield every string in a config."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from strings(value)


def small(**entries) -> Config:
    return Config(dict(data_root="data/mine/", **entries))


@pytest.mark.parametrize("new", ["/disk/coco", "/disk/coco/"])
def test_data_root_of_coco(new):
    cfg = load_config(f"{A}_obj365", {"data_root": new})
    assert cfg.data_root == "/disk/coco/"
    for kind in ("val", "test"):
        assert cfg[f"{kind}_dataloader"].dataset.data_root == "/disk/coco/"
        ann_file = cfg[f"{kind}_evaluator"].ann_file
        assert ann_file == "/disk/coco/annotations/instances_val2017.json"


@pytest.mark.parametrize(
    "name",
    [
        f"{A}_zeroshot_lvis",
        f"{A}_zeroshot_mini-lvis",
        f"{A}_obj365_zeroshot_flickr30k",
        f"{A}_zeroshot_refexp",
        f"{A}_odinw13",
        f"{A}_odinw35",
    ],
)
def test_data_root_of_every_task(name):
    before = load_config(name)
    old = before.data_root
    cfg = load_config(name, {"data_root": "/disk/"})
    found = sum(each.startswith("/disk/") for each in strings(cfg.to_dict()))
    assert found == sum(each.startswith(old) for each in strings(before.to_dict())) > 0
    assert not any(each.startswith(old) for each in strings(cfg.to_dict()))


def test_data_root_goes_where_it_was_used_and_nowhere_else():
    cfg = small(
        a="data/mine/a.json",
        b=["data/mine", ("data/mine/b", 1), {"c": "data/mine/c"}],
        c="data/mine2/c.json",
        d="see data/mine/",
        e=None,
    )
    apply_cfg_options(cfg, {"data_root": "new"})
    assert cfg.to_dict() == dict(
        data_root="new/",
        a="new/a.json",
        b=["new/", ("new/b", 1), {"c": "new/c"}],
        c="data/mine2/c.json",
        d="see data/mine/",
        e=None,
    )


def test_data_root_below_the_old_one_is_moved_once():
    shared = dict(ann_file="data/mine/a.json")
    cfg = small(a=shared, b=shared, c=[shared, shared])
    apply_cfg_options(cfg, {"data_root": "data/mine/of/others"})
    assert set(strings(cfg.to_dict())) == {"data/mine/of/others/", "data/mine/of/others/a.json"}


def test_single_path_counts_more():
    cfg = small(dataset=dict(data_root="data/mine/"), metric=dict(ann_file="data/mine/a.json"))
    apply_cfg_options(cfg, {"metric.ann_file": "b.json", "data_root": "new/"})
    assert cfg.metric.ann_file == "b.json"
    assert cfg.dataset.data_root == "new/"


@pytest.mark.parametrize("cfg", [{}, {"data_root": ""}, {"data_root": "./"}, {"data_root": None}])
def test_no_data_root_to_change(cfg):
    with pytest.raises(ConfigError, match=r"its data_root is .*set the paths themselves"):
        apply_cfg_options(Config(cfg), {"data_root": "/disk/"})


def prompts(cfg) -> dict:
    """Return the enabled caption prompts by data set."""
    pairs = zip(
        cfg.test_evaluator.dataset_prefixes, cfg.test_dataloader.dataset.datasets, strict=True
    )
    return {name: each.caption_prompt for name, each in pairs if each.get("caption_prompt")}


ON = {
    13: {"Aquarium", "CottontailRabbits", "EgoHands", "NorthAmericaMushrooms"},
    35: {"Aquarium", "ChessPieces", "EgoHands_generic"},
}


@pytest.mark.parametrize("edition", [13, 35])
def test_caption_prompts(edition):
    name = f"{A}_odinw{edition}"
    every = ON[edition] | {"Packages", "pothole"}
    default = set() if edition == 13 else every
    assert set(prompts(glip.get_config(name))) == default
    assert set(prompts(load_config(name))) == default
    assert set(prompts(load_config(name, {"use_caption_prompt": True}))) == every
    assert set(prompts(load_config(name, {"use_caption_prompt": False}))) == set()
    on = prompts(load_config(name, {"use_caption_prompt": True}))
    assert on["pothole"] == {
        "pothole": dict(prefix="there are some ", name="holes", suffix=" on the road")
    }


def test_caption_prompts_of_a_config_that_inherits(tmp_path):
    base = glip.config.find_config(f"{A}_odinw13")
    path = tmp_path / "mine.py"
    path.write_text(f"_base_ = {str(base)!r}\nuse_caption_prompt = True\n")
    assert prompts(load_config(path))["CottontailRabbits"] == {
        "Cottontail-Rabbit": dict(name="rabbit")
    }


def test_lang_model_name_of_transforms(vocabulary):
    name = "glip_atss_swin-t_fpn_dyhead_32xb2_ms-30e_pretrain_obj365-goldg-cc3m-sbu"
    assert "bert-base-uncased" in set(strings(load_config(name).train_dataloader))
    cfg = load_config(name, {"lang_model_name": vocabulary})
    assert cfg.model.language_model.name == vocabulary
    assert "bert-base-uncased" not in set(strings(cfg.train_dataloader))
    # A tokenizer other than that of the model is kept.
    cfg = small(
        lang_model_name="a", model=dict(language_model=dict()), step=dict(tokenizer_name="b")
    )
    apply_cfg_options(cfg, {"lang_model_name": "c"})
    assert cfg.step.tokenizer_name == "b"


TEMPLATE = str(CONFIGS / "_templates" / "finetune_on_cpu.py")


def test_option_of_a_pipeline_changes_its_copies(caplog):
    """A config file has put the pipeline into the data sets before the option is applied."""
    cfg = load_config(TEMPLATE, {"train_pipeline.3.scales": [(5, 5)], "test_pipeline.1.scale": 7})
    assert cfg.train_dataloader.dataset.dataset.pipeline[3].scales == [(5, 5)]
    assert cfg.val_dataloader.dataset.pipeline[1].scale == 7
    assert cfg.test_dataloader.dataset.pipeline[1].scale == 7
    assert not caplog.records


def test_option_of_one_data_set_changes_no_other():
    cfg = load_config(TEMPLATE, {"val_dataloader.dataset.pipeline.1.scale": 7})
    assert cfg.val_dataloader.dataset.pipeline[1].scale == 7
    assert cfg.test_dataloader.dataset.pipeline[1].scale != 7
    assert cfg.test_pipeline[1].scale != 7


def test_option_of_a_variable_changes_its_copies(caplog):
    cfg = load_config(TEMPLATE, {"classes": ("a", "b"), "vis_backends": []})
    for split in ("val", "test"):
        assert cfg[f"{split}_dataloader"].dataset.metainfo.classes == ("a", "b")
    assert cfg.train_dataloader.dataset.dataset.metainfo.classes == ("a", "b")
    assert cfg.visualizer.vis_backends == []
    assert not caplog.records


@pytest.mark.parametrize(
    ("entries", "option", "hint"),
    [
        (dict(max_epochs=3, train_cfg=dict(max_epochs=3)), "max_epochs", "train_cfg.max_epochs"),
        (
            dict(file="a.json", val_dataloader=dict(dataset=dict(ann_file="a.json"))),
            "file",
            "val_dataloader.dataset.ann_file",
        ),
        (dict(names=("a",), model=dict(names=("a", "b"))), "names", "model.names"),
        (dict(note="x", model=dict(type="GLIP")), "note", None),
        (dict(train_pipeline=[dict(a=1)], model=dict(type="GLIP")), "train_pipeline", None),
    ],
)
def test_option_that_nothing_reads_is_warned_of(entries, option, hint, caplog):
    apply_cfg_options(Config(entries), {option: [7]})
    (record,) = caplog.records
    assert f"the option {option!r} changes a variable of the config that nothing reads" in (
        record.getMessage()
    )
    assert hint is None or f"did you mean {hint}?" in record.getMessage()


def test_entry_of_a_list():
    cfg = Config(dict(model=dict(depths=[2, 2], sizes=[(1, 2), (3, 4)], clip=None)))
    shared = cfg.model.depths
    apply_cfg_options(
        cfg, {"model.depths.1": 5, "model.sizes.0.1": 9, "model.clip": dict(max_norm=1)}
    )
    assert cfg.model.depths == [2, 5]
    assert cfg.model.sizes == [(1, 9), (3, 4)]
    assert cfg.model.clip == dict(max_norm=1)
    assert shared == [2, 2]  # which another entry may refer to


def test_modules_of_an_option_are_imported(tmp_path, monkeypatch):
    (tmp_path / "modules_of_an_option.py").write_text("import sys\nsys.has_run = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.has_run", False, raising=False)
    options = {"custom_imports": dict(imports=["modules_of_an_option"])}
    apply_cfg_options(Config(dict(model=dict(type="GLIP"))), options)
    assert sys.has_run
