"""Scoring stored predictions again gives the numbers of the run they are from."""

from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import command, numbers_of, tool
from tests.test_tools.conftest import TASKS

TOOL = "analysis_tools/eval_metric.py"


@pytest.mark.parametrize("task", TASKS)
def test_same_numbers(runs, small_configs, examples, task):
    work_dir, _, predictions = runs(task)
    options = ("--cfg-options", f"data_root={examples[task]}")
    metrics = tool(TOOL).main([str(small_configs[task]), str(predictions), *options])
    assert metrics == numbers_of(work_dir)


def test_command(runs, small_configs, examples, tmp_path):
    work_dir, _, predictions = runs("lvis")
    printed = command(
        *(f"tools/{TOOL}", small_configs["lvis"], predictions, "--out", tmp_path / "n.json"),
        *("--cfg-options", f"data_root={examples['lvis']}", "test_evaluator.type=LVISMetric"),
    )
    assert "lvis/bbox_APr" in printed
    standard = json.loads((tmp_path / "n.json").read_text())
    # With no more than 300 detections an image, of few images, both protocols count all of them.
    assert standard["lvis/bbox_AP"] == pytest.approx(numbers_of(work_dir)["lvis_fixed_ap/AP"])


@pytest.mark.parametrize("task", ["coco", "lvis"])
def test_curves(runs, small_configs, examples, tmp_path, task):
    _, _, predictions = runs(task)
    options = ("--cfg-options", f"data_root={examples[task]}", "test_evaluator.classwise=True")
    if task == "lvis":
        options = (*options, "test_evaluator.type=LVISMetric")
    curves = tmp_path / "curves"
    argv = [str(small_configs[task]), str(predictions), "--curves", str(curves), *options]
    metrics = tool(TOOL).main(argv)
    header, *rows = list(csv.reader((curves / "classes.csv").open()))
    assert header == ["class", "AP", "AP50", "AP75", "recall", "boxes"]
    by_class = {key: value for key, value in metrics.items() if key.endswith("_precision")}
    prefix = next(iter(by_class)).split("/")[0]
    assert len(rows) == len(by_class)
    for name, ap, *_, boxes in rows:
        expected = by_class[f"{prefix}/{name}_precision"]
        assert float(ap) == pytest.approx(expected, abs=1e-4) if ap else expected != expected
        assert bool(ap) <= (int(boxes) > 0)
    numbers = [float(row[1]) for row in rows if row[1]]
    assert numbers == sorted(numbers, reverse=True)
    assert max(numbers) > 0
    for name in ("curves", "classes"):
        with Image.open(curves / f"{name}.png") as image:
            assert min(image.size) > 100


def test_no_curves_of_recall(runs, small_configs, examples, tmp_path):
    _, _, predictions = runs("flickr30k")
    options = ("--cfg-options", f"data_root={examples['flickr30k']}")
    argv = [str(small_configs["flickr30k"]), str(predictions), "--curves", str(tmp_path), *options]
    with pytest.raises(USER_ERRORS, match="curves are drawn of one data set"):
        tool(TOOL).main(argv)


def test_another_protocol(runs, small_configs, examples):
    _, _, predictions = runs("flickr30k")
    metrics = tool(TOOL).main(
        [
            str(small_configs["flickr30k"]),
            str(predictions),
            "--cfg-options",
            f"data_root={examples['flickr30k']}",
            "test_evaluator.metrics.1.merge_boxes=True",
            "test_evaluator.metrics.1.topk=(1,)",
        ]
    )
    assert [key for key in metrics if "Test" in key] == ["Flickr30kTest/flickr30k/Recall@1_all"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pkl", None, "there is no file of predictions"),
        ("a.json", [{"image_id": 1, "bbox": [0, 0, 1, 1]}], "does not hold predictions as"),
        ("a.json", {}, "does not hold predictions as"),
    ],
)
def test_no_predictions(small_configs, examples, tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(json.dumps(content))
    options = ("--cfg-options", f"data_root={examples['coco']}")
    with pytest.raises(USER_ERRORS, match=message):
        tool(TOOL).main([str(small_configs["coco"]), str(path), *options])


def test_numbers_go_to_json(small_configs):
    with pytest.raises(USER_ERRORS, match=r"expected --out to end in \.json"):
        tool(TOOL).main([str(small_configs["coco"]), "a.pkl", "--out", "numbers.txt"])
