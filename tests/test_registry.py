"""Our registries, seen from MMDetection's configs and from another project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope

from glip import registry
from glip.apis import inference_detector, init_detector
from glip.checkpoint import load_checkpoint
from glip.models import GLIP
from glip.registry import build_part

# What the GLIP configs of MMDetection 3.3 name, and where it must be.
MMDET_NAMES = {
    "MODELS": [
        "ATSSVLFusionHead",
        "BertModel",
        "CrossEntropyLoss",
        "DetDataPreprocessor",
        "FPN",
        "FPN_DropBlock",
        "FocalLoss",
        "GIoULoss",
        "GLIP",
        "SwinTransformer",
    ],
    "TASK_UTILS": [
        "ATSSAssigner",
        "AnchorGenerator",
        "BboxOverlaps2D_GLIP",
        "DeltaXYWHBBoxCoderForGLIP",
    ],
    "TRANSFORMS": [
        "FilterAnnotations",
        "FixScaleResize",
        "GTBoxSubOne_GLIP",
        "LoadAnnotations",
        "LoadImageFromFile",
        "PackDetInputs",
        "RandomChoiceResize",
        "RandomFlip",
        "RandomFlip_GLIP",
        "Resize",
    ],
    "DATA_SAMPLERS": ["AspectRatioBatchSampler"],
    "DATASETS": ["CocoDataset", "ConcatDataset", "Flickr30kDataset", "LVISV1Dataset"],
    "METRICS": ["CocoMetric", "Flickr30kMetric", "LVISFixedAPMetric"],
    "EVALUATOR": ["MultiDatasetsEvaluator"],
    "HOOKS": ["DetVisualizationHook"],
    "VISUALIZERS": ["DetLocalVisualizer"],
}


@pytest.mark.parametrize(
    ("where", "name"), [(where, name) for where, names in MMDET_NAMES.items() for name in names]
)
def test_names_of_mmdet_configs(where, name):
    found = getattr(registry, where).get(name)
    assert found is not None
    # Ours, and not what mmcv or mmengine happen to have under the same name.
    assert found.__module__.startswith("glip.")


def test_what_mmengine_has_is_found_too():
    assert registry.DATASETS.get("RepeatDataset") is MMENGINE_DATASETS.get("RepeatDataset")
    assert registry.MODELS.get("BaseDataPreprocessor").__module__.startswith("mmengine.")


def test_found_by_prefix_from_the_root():
    assert MMENGINE_MODELS.get("glip.GLIP") is GLIP


# Another project

PROJECT = """
from mmengine.registry import MODELS as ROOT_MODELS, TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry("model", parent=ROOT_MODELS, scope="otherproject", locations=["otherproject.own"])
TASK_UTILS = Registry("task util", parent=ROOT_TASK_UTILS, scope="otherproject")
TRANSFORMS = Registry(
    "transform", parent=ROOT_TRANSFORMS, scope="otherproject", locations=["otherproject.own"]
)
"""
OWN_PARTS = """
from glip.models import FPN

from otherproject.registry import MODELS, TRANSFORMS


@MODELS.register_module()
class OwnNeck(FPN):
    pass


@TRANSFORMS.register_module()
class OwnStep:
    def __call__(self, results):
        return dict(results, seen=True)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The name of a package with registries of its own; mmengine never forgets them."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "otherproject").mkdir()
    (folder / "otherproject" / "__init__.py").touch()
    (folder / "otherproject" / "registry.py").write_text(PROJECT)
    (folder / "otherproject" / "own.py").write_text(OWN_PARTS)
    sys.path.insert(0, str(folder))
    yield "otherproject"
    sys.path.remove(str(folder))


@pytest.fixture
def config_file(project, tiny_cfg, tmp_path) -> Path:
    """The small model in a config of the other project; only the model's type has a prefix."""
    cfg = Config(dict(tiny_cfg.to_dict()))
    cfg.default_scope = project
    cfg.custom_imports = dict(imports=["glip"], allow_failed_imports=False)
    cfg.model.type = "glip.GLIP"
    cfg.dump(tmp_path / "config.py")
    return tmp_path / "config.py"


def prefixed(part: object) -> object:
    """The same config with ``glip.`` before every name but that of the NMS, which is no class."""
    if isinstance(part, dict):
        part = {key: prefixed(value) for key, value in part.items()}
        if "type" in part and not part["type"].startswith("glip.") and part["type"] != "nms":
            part["type"] = f"glip.{part['type']}"
    elif isinstance(part, (list, tuple)):
        part = type(part)(prefixed(value) for value in part)
    return part


@pytest.mark.parametrize("with_prefixes", [False, True])
def test_built_as_the_runner_does(
    config_file, tiny_checkpoint, tiny_model, project, with_prefixes, capsys
):
    cfg = Config.fromfile(config_file)
    model_cfg = prefixed(cfg.model.to_dict()) if with_prefixes else cfg.model
    with DefaultScope.overwrite_default_scope(project):
        model = MMENGINE_MODELS.build(model_cfg)
    assert type(model) is GLIP
    # mmengine falls back, with a warning, where it cannot find a scope.
    assert "WARNING" not in capsys.readouterr().out
    load_checkpoint(model, tiny_checkpoint)
    image = torch.rand(1, 3, 64, 64)
    level, expected = (one.eval().extract_feat(image)[0] for one in (model, tiny_model))
    assert torch.equal(level, expected)
    assert type(model.data_preprocessor) is type(tiny_model.data_preprocessor)
    assert type(model.bbox_head) is type(tiny_model.bbox_head)


@pytest.mark.parametrize("name", ["OwnNeck", "otherproject.OwnNeck"])
def test_part_of_the_other_project(config_file, project, name):
    cfg = Config.fromfile(config_file)
    cfg.model.neck.type = name
    with DefaultScope.overwrite_default_scope(project), torch.device("meta"):
        model = MMENGINE_MODELS.build(cfg.model)
    assert type(model.neck).__name__ == "OwnNeck"


def test_detecting_from_there(config_file, tiny_checkpoint, tiny_model, photo):
    cfg = Config.fromfile(config_file)
    cfg.test_pipeline.insert(-1, dict(type="OwnStep"))
    cfg.test_pipeline[-1].meta_keys = ("seen",)
    model = init_detector(cfg, tiny_checkpoint, device="cpu")
    found, expected = (
        inference_detector(one, photo, text_prompt="bench . car .") for one in (model, tiny_model)
    )
    assert found.seen
    assert found.pred_instances.scores.tolist() == expected.pred_instances.scores.tolist()
    assert DefaultScope.get_current_instance() is None


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from mmengine.config import Config
from mmengine.registry import DefaultScope
import otherproject.registry

cfg = Config.fromfile(sys.argv[2])
with DefaultScope.overwrite_default_scope("otherproject"):
    model = otherproject.registry.MODELS.build(cfg.model)
print(type(model).__module__, type(model.bbox_head).__name__)
"""


@pytest.mark.parametrize("custom_imports", [False, True])
def test_in_a_new_process(config_file, project, custom_imports):
    """The prefix alone is enough; `custom_imports` of glip, which imports little, does no harm."""
    if not custom_imports:
        cfg = Config.fromfile(config_file, import_custom_modules=False)
        cfg.pop("custom_imports")
        cfg.dump(config_file)
    folder = next(each for each in sys.path if Path(each, project, "registry.py").is_file())
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder), str(config_file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == ["glip.models.detectors.glip", "VLFusionHead"]
    assert "WARNING" not in done.stdout + done.stderr


def test_our_names_come_first(project):
    with DefaultScope.overwrite_default_scope(project):
        part = build_part(registry.TRANSFORMS, dict(type="LoadImageFromFile"))
        assert type(part).__module__.startswith("glip.")  # mmcv has one of this name in the root
        assert type(build_part(registry.TRANSFORMS, dict(type="OwnStep"))).__name__ == "OwnStep"
        with pytest.raises(KeyError, match="Nobodys"):
            build_part(registry.TRANSFORMS, dict(type="Nobodys"))
