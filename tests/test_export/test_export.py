"""Exports that run in ONNX Runtime, and that fail if they differ from torch."""

from __future__ import annotations

import shutil

import pytest
import torch
from mmengine.registry import DefaultScope

from glip.apis import init_detector
from glip.cli.export import main
from glip.config import demo_file
from glip.export import export_model, writer
from glip.export.graphs import Graph, write_onnx
from glip.registry import MODELS
from glip.runtime import DetInferencer
from glip.runtime.manifest import read_manifest
from glip.testing import draw_state_dict, tiny_config
from glip.utils.errors import ConfigError, DependencyError, ExportError, StorageError


def argv(out, *options):
    return ["--weights", "glip_nano_shapes", "--out", str(out), *options]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("exports") / "nano"
    main(argv(folder))
    return folder


@pytest.mark.slow
def test_any_size(exported):
    """The command has compared it with torch on sizes, prompts and batches."""
    manifest = read_manifest(exported)
    assert manifest.verified["unmatched"] == 0
    assert manifest.verified["detections"] > 100
    assert sorted(manifest.files) == ["answer.onnx", "image.onnx", "text.onnx", "tokenizer.json"]
    found = DetInferencer(exported)(str(demo_file("shapes.jpg")), texts="red star .")
    assert found["predictions"][0]["scores"][0] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("static", [None, (96, 160)])
def test_deep_fusion(tmp_path, static):
    """All parts of GLIP-T (B): its size differs, not its structure."""
    pytest.importorskip("onnx")
    cfg = tiny_config(lang_model_name=str(demo_file("bert-base-uncased")))
    with DefaultScope.overwrite_default_scope("glip"):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(draw_state_dict(model.state_dict()), strict=False)
    model.cfg = cfg
    report = export_model(model, tmp_path / "tiny", static=static)
    assert report.detections > 100


def test_a_size_kept_from_the_example(tmp_path):
    pytest.importorskip("onnx")

    class Branch(torch.nn.Module):
        def forward(self, x):
            return x + 1 if x.shape[0] > 1 else x

    free = {"x": {0: "batch"}, "y": {0: "batch"}}
    graph = Graph(Branch(), {"x": torch.zeros(2, 3)}, ["y"], free)
    with pytest.raises(RuntimeError, match="treated as a constant"):
        write_onnx(graph, tmp_path / "branch.onnx")


@pytest.mark.slow
def test_smaller_files_and_differences(exported, tmp_path, monkeypatch):
    def copy(graph, path):
        shutil.copy(exported / path.name, path)

    monkeypatch.setattr(writer, "write_onnx", copy)
    model = init_detector(weights="glip_nano_shapes", device="cpu")
    report = export_model(model, tmp_path / "half", precision="fp16")
    assert 0 < report.max_probability < 0.02
    size, half = (sum(p.stat().st_size for p in f.iterdir()) for f in (exported, tmp_path / "half"))
    assert half < 0.6 * size
    report = export_model(model, tmp_path / "int8", precision="int8")
    assert report.detections > 100
    model.bbox_head.bbox_pred.bias.data += 0.1
    with pytest.raises(ExportError, match="does not detect what torch does"):
        export_model(model, tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "int8"]


def test_errors_before_the_model_is_built(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    with pytest.raises(StorageError, match="exists"):
        main(argv(tmp_path))
    with pytest.raises(ConfigError, match="multiples of 32"):
        main(argv(tmp_path / "a", "--static", "100x64"))
    monkeypatch.setattr("glip.export.checks.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"glip\[export\]"):
        main(argv(tmp_path / "a"))
    assert not list(tmp_path.iterdir())
