"""The notebooks: their pages run from top to bottom, and the .ipynb files are made from them."""

from __future__ import annotations

import importlib
import json

import pytest
from PIL import Image

from docs.code_blocks import NOTEBOOKS, blocks
from docs.make_notebooks import notebook
from tests.test_docs.test_code_blocks import clone, parser_arguments, run_python  # noqa: F401

#: Shorter than in the page; test_notebooks_run_in_jupyter has the whole training.
HERE = ("num_workers=0", "persistent_workers=False")
SHORT = {
    "train": [
        "train_cfg.max_epochs=2",
        "train_dataloader.dataset.times=1",
        *(f"{split}_dataloader.{option}" for split in ("train", "val") for option in HERE),
    ],
    "test": ["--cfg-options", *(f"test_dataloader.{option}" for option in HERE)],
}


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_pages_run(page, clone):  # noqa: F811
    """Python and commands in the order of the page."""
    namespace = {"__name__": "page"}
    for block in blocks(page):
        if block.reason:
            continue
        if block.language == "python":
            run_python([block], namespace)
            continue
        for words in block.commands():
            module, arguments = parser_arguments(words)
            arguments += SHORT.get(words[1], [])
            importlib.import_module(module).main(arguments)
    if page.stem == "detect":
        assert json.loads((clone / "found.json").read_text())["annotations"]
    if page.stem == "label":
        assert len(namespace["coco"]["annotations"]) > 10
    if page.stem == "finetune":
        with Image.open(clone / "before_after.png") as both:
            assert both.size == (328, 120)


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_notebooks_are_up_to_date(page):
    written = page.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == notebook(page), "run python docs/make_notebooks.py"


@pytest.mark.jupyter
@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.stem)
def test_notebooks_run_in_jupyter(page, tmp_path):
    """With a kernel: cells that show images, and commands."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    content = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(content)
    resources = dict(metadata=dict(path=str(tmp_path)))
    nbclient.NotebookClient(content, timeout=300, resources=resources).execute()
    outputs = [each for cell in content.cells for each in cell.get("outputs", ())]
    assert any("image/png" in each.get("data", ()) for each in outputs)
    printed = "".join(each.get("text", "") for each in outputs)
    assert "Traceback" not in printed
    assert "error:" not in printed
    if page.stem == "finetune":
        assert "['car', 'cat']" in printed or "['cat', 'car']" in printed
