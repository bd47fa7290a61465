"""MMDetection 3.3's GLIP configs build here, with only their default scope changed.

Read from the installed package's files; mmdet itself is never imported.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.registry import DefaultScope

from glip.apis import inference_detector, init_detector
from glip.config import list_models
from glip.registry import DATASETS, EVALUATOR, METRICS, MODELS, TRANSFORMS
from glip.testing import draw_state_dict, tiny_config


def mmdet_folder() -> Path | None:
    spec = importlib.util.find_spec("mmdet")
    if spec is None:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), ".mim", "configs", "glip")
    return folder if folder.is_dir() else None


FOLDER = mmdet_folder()
# override_category.py is a script.
FILES = sorted(f for f in FOLDER.rglob("glip_*.py")) if FOLDER else []
pytestmark = pytest.mark.skipif(
    not FILES, reason="mmdet is not installed: pip install mmdet==3.3.0"
)
each_config = pytest.mark.parametrize("file", FILES or [None], ids=lambda file: file and file.stem)


def read(file: Path) -> Config:
    cfg = Config.fromfile(file)
    assert cfg.default_scope == "mmdet"
    cfg.default_scope = "glip"
    return cfg


def walk(node: object) -> Iterator[dict]:
    """Every dictionary in a config."""
    if isinstance(node, dict):
        yield node
    if isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from walk(value)


def pipelines(cfg: Config) -> dict[str, list[dict]]:
    """Every pipeline of a config, however deep in its data sets, by what it says."""
    tops = [cfg[key] for key in cfg if key.endswith("_pipeline")]
    nested = [node["pipeline"] for node in walk(cfg.to_dict()) if "pipeline" in node]
    return {str(steps): steps for steps in (*tops, *nested)}


def test_all_are_here():
    kinds = [str(file.parent.relative_to(FOLDER)) for file in FILES]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ".": 10,  # five models, five of them fine-tuned
        "flickr30k": 1,
        "lvis": 6,
        "odinw": 4,
    }


@each_config
def test_model_builds(file):
    cfg = read(file)
    with DefaultScope.overwrite_default_scope("glip"), torch.device("meta"):
        model = MODELS.build(cfg.model)
    assert type(model).__module__.startswith("glip.")
    large = "swin-l" in file.stem
    assert len(model.bbox_head.tower.blocks) == (8 if large else 6)
    assert model.bbox_head.tower.early_fuse == ("swin-t_a_" not in file.stem)
    lvis = file.parent.name == "lvis"
    assert model.chunked_size == (40 if lvis else -1)
    assert model.bbox_head.postprocess.max_per_img == (300 if lvis else 100)


@each_config
def test_pipelines_build(file):
    found = pipelines(read(file))
    assert found
    with DefaultScope.overwrite_default_scope("glip"):
        for steps in found.values():
            for step in steps:
                assert type(TRANSFORMS.build(step)).__module__.startswith("glip.")


@each_config
def test_data_sets_and_metrics_are_known(file):
    cfg = read(file)
    for split in ("train", "val", "test"):
        for node in walk(cfg[f"{split}_dataloader"]["dataset"]):
            if "pipeline" in node or "dataset" in node or "datasets" in node:
                assert DATASETS.get(node["type"]) is not None
    for split in ("val", "test"):
        evaluator = cfg[f"{split}_evaluator"]
        for node in walk(evaluator):
            if "type" in node:
                known = EVALUATOR if "metrics" in node else METRICS
                assert known.get(node["type"]) is not None


def test_published_models_agree():
    theirs = {entry["Name"]: entry for entry in load(FOLDER / "metafile.yml")["Models"]}
    for name, ours in list_models().items():
        assert ours["Weights"] == theirs[name]["Weights"]
        assert ours["Results"][0]["Metrics"] == theirs[name]["Results"][0]["Metrics"]


def test_detects_the_same(tmp_path, vocabulary, photo):
    """Their GLIP-T (A), made small, finds what ours finds; its file needs no change at all."""
    ours = tiny_config(early_fuse=False, lang_model_name=vocabulary)
    theirs = FOLDER / "glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py"
    options = {
        f"model.{part}.{key}": value
        for part in ("backbone", "neck", "language_model")
        for key, value in ours.model[part].items()
        if key != "type"
    }
    options |= {"lang_model_name": vocabulary, "test_pipeline.1.scale": (128, 213)}
    options |= {f"model.bbox_head.{key}": 32 for key in ("in_channels", "feat_channels")}
    options |= {"model.bbox_head.num_dyhead_blocks": ours.model.bbox_head.num_dyhead_blocks}
    checkpoint = tmp_path / "tiny.pth"
    reference = init_detector(ours, device="cpu")
    torch.save({"model": draw_state_dict(reference.state_dict())}, checkpoint)
    found, expected = (
        inference_detector(model, photo, text_prompt="bench . car .").pred_instances
        for model in (
            init_detector(str(theirs), checkpoint, device="cpu", cfg_options=options),
            init_detector(ours, checkpoint, device="cpu"),
        )
    )
    assert len(expected) > 20
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)
    assert found.label_names == expected.label_names


def test_mmdet_was_not_imported():
    assert "mmdet" not in sys.modules
