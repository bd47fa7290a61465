"""The page "From a folder to a detector", run as written, and its experiment."""

from __future__ import annotations

import importlib.util
import json
from importlib import import_module
from pathlib import Path

import pytest

from docs.code_blocks import ROOT, blocks
from tests.test_docs.test_code_blocks import clone, parser_arguments  # noqa: F401


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / "misc" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_page_runs(clone):  # noqa: F811
    """Each step improves the labels, and the detector knows the class names."""
    namespace = {"__name__": "page"}
    for block in blocks(ROOT / "docs" / "folder_to_detector.md"):
        if block.language == "yaml":
            Path("classes.yaml").write_text(block.code)
        elif block.language == "python":
            exec(block.code, namespace)
        else:
            for words in block.commands():
                if words[1] == "tools/misc/simulate_review.py":
                    load("simulate_review").main(words[2:])
                    continue
                module, arguments = parser_arguments(words)
                import_module(module).main(arguments)
    experiment, folder = load("label_loop_experiment"), Path("data/loop")
    truth, labels = folder / "photos/truth.json", folder / "labels"
    before = experiment.measure_labels(truth, labels / "annotations.json")
    reviewed = experiment.measure_labels(truth, labels / "reviewed/annotations.json")
    assert all(reviewed[key] > before[key] for key in ("AP", "precision", "recall"))
    assert experiment.measure_labels(truth, folder / "again/annotations.json")["AP"] > 0.3
    aps = []
    for part in ("before", "after"):
        (path,) = Path(f"work_dirs/loop_{part}").glob("*/*.json")
        aps.append(json.loads(path.read_text())["coco/bbox_mAP"])
    assert aps[1] > 2 * aps[0]


def test_the_experiment_measures_labels(tmp_path):
    """Against a count by hand: two right boxes of three, and three objects."""
    experiment = load("label_loop_experiment")
    images = [dict(id=4, file_name="a.jpg", width=100, height=100)]
    boxes = [[0, 0, 20, 20], [50, 50, 20, 20], [70, 0, 30, 30]]

    def write(name: str, category: int, chosen: list[list[int]], **more) -> Path:
        annotations = [
            dict(id=at, image_id=4, category_id=category, bbox=box, area=400, iscrowd=0, **more)
            for at, box in enumerate(chosen, start=1)
        ]
        categories = [dict(id=category, name="ball")]
        content = dict(images=images, categories=categories, annotations=annotations)
        (tmp_path / name).write_text(json.dumps(content))
        return tmp_path / name

    truth = write("truth.json", 7, boxes)
    found = experiment.measure_labels(truth, write("found.json", 1, [*boxes[:2], [0, 60, 9, 9]]))
    assert (found["precision"], found["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    perfect = experiment.measure_labels(truth, write("all.json", 1, boxes, score=0.5))
    assert perfect == dict(AP=pytest.approx(1), precision=1, recall=1)
