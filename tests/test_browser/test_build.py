"""The command that gathers the browser page, with files of no content."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from glip.utils.errors import CheckpointError, ConfigError, DependencyError, StorageError
from tests.test_browser.test_modules import MANIFEST, PAGE

SPEC = importlib.util.spec_from_file_location("build_page", PAGE / "build.py")
build_page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build_page)


def build(*argv: object) -> None:
    build_page.main([str(each) for each in argv])


@pytest.fixture
def options(tmp_path) -> dict[str, Path]:
    """A model, onnxruntime-web, and where to write."""
    names = ("text.onnx", "image.onnx", "answer.onnx", "tokenizer.json")
    model, runtime = tmp_path / "model", tmp_path / "npm"
    (runtime / "dist").mkdir(parents=True)
    model.mkdir()
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
    manifest = replace(MANIFEST, files=digests)
    (model / "manifest.json").write_text(manifest.to_json())
    for path in (
        *(model / name for name in names),
        *(runtime / "dist" / name for name in build_page.RUNTIME),
    ):
        path.write_text(path.name)
    return {"--model": model, "--onnxruntime-web": runtime, "--out": tmp_path / "site"}


def run(options: dict) -> None:
    build(*(each for pair in options.items() for each in pair))


def test_build(options, photo, tmp_path):
    run({**options, "--image": photo, "--texts": "bench ."})
    site = options["--out"]
    assert sorted(path.name for path in site.iterdir() if path.is_dir()) == [
        *("example", "model", "onnxruntime")
    ]
    assert {path.name for path in PAGE.glob("*.js")} <= {path.name for path in site.iterdir()}
    assert (site / "index.html").is_file()
    assert (site / "onnxruntime/ort.wasm.min.js").read_text() == "ort.wasm.min.mjs"
    assert len(list((site / "model").iterdir())) == 5
    example = json.loads((site / "example/example.json").read_text())
    assert example == dict(image=photo.name, texts=["bench ."])
    assert (site / "example" / photo.name).read_bytes() == photo.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_errors(options, tmp_path):
    for changed, error, reason in (
        ({"--model": tmp_path / "none"}, CheckpointError, "expected a folder of `glip export`"),
        ({"--onnxruntime-web": tmp_path}, DependencyError, "run `npm install"),
        ({"--image": tmp_path / "none.jpg"}, ConfigError, "there is no image"),
        ({"--out": tmp_path}, StorageError, "exists"),
    ):
        with pytest.raises(error, match=reason):
            run({**options, **changed})
        assert not options["--out"].exists()
    (options["--model"] / "text.onnx").write_text("another")
    with pytest.raises(CheckpointError, match="not the file that was exported"):
        run(options)


def test_the_documented_command_names_the_version():
    """The error, the documentation and .ci/peers install the same version."""
    assert build_page.__doc__.count(build_page.INSTALL) == 1
    for name in ("docs/browser.md", ".ci/peers"):
        assert build_page.INSTALL.split()[-1] in (PAGE.parents[1] / name).read_text()
