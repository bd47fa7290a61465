"""Detection without torch equals that of torch.

The graphs run in torch here; tests/test_export runs those of ONNX.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glip.apis import DetInferencer as TorchInferencer
from glip.cli.detect import main as detect
from glip.config import demo_file
from glip.datasets.images import open_image
from glip.export.graphs import make_graphs
from glip.export.writer import make_manifest, write_tokenizer
from glip.models.heads.outputs import HeadOutputs
from glip.runtime import Detector, DetInferencer, detector
from glip.runtime.postprocess import postprocess
from glip.utils.errors import CheckpointError, DependencyError, PromptError

IMAGE = str(demo_file("shapes.jpg"))
PROMPT = "red star . green heart . blue circle . ring ."


@pytest.fixture(scope="module")
def torch_inferencer():
    return TorchInferencer(weights="glip_nano_shapes", device="cpu", show_progress=False)


@pytest.fixture(scope="module")
def folder(torch_inferencer, tmp_path_factory):
    """An exported model whose graphs are empty files."""
    model = torch_inferencer.model
    folder = tmp_path_factory.mktemp("exported")
    write_tokenizer(model, folder / "tokenizer.json")
    for name in ("text", "image", "answer"):
        (folder / f"{name}.onnx").touch()
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    manifest = replace(make_manifest(model, model.cfg, "onnx", "fp32", None), files=files)
    (folder / "manifest.json").write_text(manifest.to_json())
    return folder


@pytest.fixture(autouse=True)
def torch_sessions(torch_inferencer, monkeypatch):
    """Run the graphs in torch."""
    graphs = make_graphs(torch_inferencer.model, None)

    def open_session(folder, name, format, threads=None):
        def run(**inputs):
            values = (torch.from_numpy(inputs[key]) for key in graphs[name].inputs)
            with torch.inference_mode():
                outputs = graphs[name].module(*values)
            outputs = [outputs] if isinstance(outputs, torch.Tensor) else outputs
            return [each.numpy() for each in outputs]

        return run

    monkeypatch.setattr(detector, "open_session", open_session)


#: 80 names, which take five captions of 16.
MANY = " . ".join(f"{color} star {number}" for color in ("red", "blue") for number in range(40))


@pytest.mark.parametrize(
    "texts",
    [PROMPT, MANY, "A small green heart and a ring.", ["star", "circle"]],
    ids=["names", "many captions", "sentence", "list"],
)
def test_detections_equal_those_of_torch(torch_inferencer, folder, texts):
    own = DetInferencer(folder)(IMAGE, texts=texts)["predictions"][0]
    expected = torch_inferencer(IMAGE, texts=texts)["predictions"][0]
    assert len(own["labels"]) > 1
    for key in ("labels", "label_names", "phrases"):
        assert own[key] == expected[key]
    for key in ("scores", "bboxes", "presence"):
        np.testing.assert_allclose(own[key], expected[key], atol=1e-3 if key == "bboxes" else 1e-5)


def test_batches_and_kinds_of_images(torch_inferencer, folder):
    bgr = np.ascontiguousarray(open_image(IMAGE)[:150, :200])
    images = [IMAGE, bgr, Path(IMAGE).read_bytes()]
    prompts = [["star"], ["red circle", "ring"], ["heart"]]
    own = DetInferencer(folder)(images, texts=prompts, batch_size=3)["predictions"]
    expected = torch_inferencer(images, texts=prompts, batch_size=3)["predictions"]
    for one, other in zip(own, expected, strict=True):
        assert one["labels"] == other["labels"]
        np.testing.assert_allclose(one["bboxes"], other["bboxes"], atol=1e-3)


def test_features_are_reused(folder):
    inferencer = DetInferencer(folder)
    inferencer(IMAGE, texts=PROMPT)
    (kept,) = inferencer.text_cache._encoded
    first = inferencer.text_cache.encode_text(kept)
    assert inferencer.text_cache.encode_text(kept) is first


def test_postprocessing_equals_torch(torch_inferencer, folder):
    model, manifest = torch_inferencer.model, Detector(folder).manifest
    generator = torch.Generator().manual_seed(0)
    sizes = [(20, 24), (10, 12), (5, 6), (3, 3), (2, 2)]
    counts = [height * width for height, width in sizes]

    def draw(*shape):
        return [torch.randn(1, count, *shape, generator=generator) for count in counts]

    outputs = HeadOutputs(draw(6), draw(4), draw(), sizes)
    token_map = torch.tensor([[0, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 0]]).bool()
    head = model.bbox_head
    anchors = head.prior_generator.grid_priors(sizes)
    expected, presence = head.postprocess(
        outputs, 0, token_map, anchors, head.bbox_coder, (150, 185)
    )
    arrays = (
        torch.cat(each, 1)[0].numpy()
        for each in (outputs.token_logits, outputs.deltas, outputs.centerness)
    )
    found = postprocess(*arrays, token_map.numpy(), (160, 192), (150, 185), manifest)
    assert len(found.scores) == manifest.max_per_img
    np.testing.assert_array_equal(found.labels, expected.labels.numpy())
    np.testing.assert_allclose(found.boxes, expected.bboxes.numpy(), atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.presence, presence.numpy(), atol=1e-6)


def test_command(folder, tmp_path, capsys):
    argv = [IMAGE, "--weights", str(folder), "--texts", PROMPT, "--out-dir", str(tmp_path / "out")]
    detect([*argv, "--save-crops"])
    assert "1 x red star" in capsys.readouterr().out
    assert (
        json.loads((tmp_path / "out/preds/shapes.json").read_text())["model"] == "glip_nano_shapes"
    )
    assert (tmp_path / "out/vis/shapes.jpg").stat().st_size > 10_000
    assert len(list(tmp_path.glob("out/crops/red star/shapes_*.jpg"))) == 1
    for option in ("--amp=bf16", "--tta", "--slices", "--compile", "--device=cpu", "--show"):
        with pytest.raises(SystemExit) as error:
            detect([*argv, option])
        assert error.value.code == 2
        name = option.partition("=")[0]
        assert f"{name} needs the model in torch" in capsys.readouterr().err


def test_phrases_that_the_tokenizer_does_not_know(folder, caplog):
    inferencer = DetInferencer(folder)
    for _ in range(2):
        inferencer(IMAGE, texts=["狐", "red star"])
    (message,) = caplog.messages
    assert message.startswith("1 of 2 phrases have no word that the tokenizer knows")


def test_errors(folder, tmp_path):
    with pytest.raises(CheckpointError, match="expected a folder of `glip export`"):
        Detector(tmp_path)
    with pytest.raises(PromptError):
        DetInferencer(folder)(IMAGE, texts=" . ")


def test_old_onnxruntime(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    from glip.runtime.sessions import import_onnxruntime

    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    with pytest.raises(DependencyError, match=r"Python 3\.11.*OpenVINO"):
        import_onnxruntime()


def test_runtime_imports_no_torch():
    code = (
        "import json, sys, glip.runtime, glip.runtime.det_inferencer as d; d.DetInferencer;"
        "heavy = ('torch', 'transformers', 'mmengine', 'mmcv', 'cv2', 'matplotlib', 'timm');"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert json.loads(result.stdout) == []
