"""Exports that run in OpenVINO."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from glip.apis import init_detector
from glip.cli.analysis_tools.benchmark_runtimes import main as benchmark
from glip.cli.detect import main as detect
from glip.cli.export import main
from glip.config import demo_file
from glip.export import export_model
from glip.runtime import Detector
from glip.runtime.manifest import read_manifest
from glip.runtime.sessions import open_session
from glip.utils.errors import CheckpointError, ConfigError, DependencyError


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    pytest.importorskip("openvino")
    folder = tmp_path_factory.mktemp("exports") / "nano"
    main(["--weights", "glip_nano_shapes", "--out", str(folder), "--format", "openvino"])
    return folder


@pytest.mark.slow
def test_any_size(exported, tmp_path, capsys):
    """The command has compared it with torch on sizes, prompts and batches."""
    manifest = read_manifest(exported)
    assert manifest.static is None
    assert manifest.verified["unmatched"] == 0
    assert manifest.verified["detections"] > 100
    assert "image.bin" in manifest.files
    assert "image.xml" in manifest.files
    argv = ["--weights", str(exported), "--texts", "red star .", "--out-dir", str(tmp_path)]
    detect([str(demo_file("shapes.jpg")), *argv])
    assert "1 x red star" in capsys.readouterr().out


@pytest.mark.slow
def test_benchmark(exported, tmp_path, capsys):
    models = ["glip_nano_shapes", str(exported)]
    out = tmp_path / "numbers.json"
    options = ["--starts", "1", "--repeat", "1", "--threads", "1", "--json", str(out)]
    in_torch, own = benchmark([*models, *options])
    assert (in_torch.runtime, own.runtime) == ("torch", "openvino fp32")
    assert in_torch.detections == own.detections > 1
    for each in (in_torch, own):
        assert 0 < each.fastest <= each.seconds < each.start + 60
        assert 0 < each.memory_gib < 10
    assert own.disk_mb == pytest.approx(sum(p.stat().st_size for p in exported.iterdir()) / 1e6)
    assert [each["runtime"] for each in json.loads(out.read_text())] == ["torch", "openvino fp32"]
    assert "image [s]" in capsys.readouterr().out


@pytest.mark.slow
def test_damaged_file(exported, tmp_path):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "image.xml").write_bytes(b"<net")
    with pytest.raises(CheckpointError, match=r"image\.xml' cannot be loaded"):
        open_session(tmp_path, "image", "openvino")
    with pytest.raises(CheckpointError, match=r"image\.xml' is not the file"):
        Detector(tmp_path)
    run = open_session(exported, "text", "openvino")
    with pytest.raises(CheckpointError, match=r"text\.xml' cannot be run"):
        run(input_ids=np.zeros((1, 3), np.int64), mask=np.ones((1, 4), bool))


@pytest.mark.slow
def test_static_in_half_precision(exported, tmp_path):
    model = init_detector(weights="glip_nano_shapes", device="cpu")
    folder = tmp_path / "half"
    report = export_model(model, folder, format="openvino", precision="fp16", static=(192, 256))
    assert 0 < report.max_probability < 0.02
    weights, half = ((each / "image.bin").stat().st_size for each in (exported, folder))
    assert half < 0.6 * weights


def test_errors_before_the_model_is_built(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    argv = ["--weights", "glip_nano_shapes", "--out", str(tmp_path / "a"), "--format", "openvino"]
    with pytest.raises(ConfigError, match="fp32, fp16 in the format openvino, got int8"):
        main([*argv, "--quantize"])
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DependencyError, match="pip install 'openvino"):
        main(argv)
    with pytest.raises(DependencyError, match="pip install 'openvino"):
        open_session(tmp_path, "text", "openvino")
