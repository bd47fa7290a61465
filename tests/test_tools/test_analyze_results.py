"""The best and the worst images."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from glip.analysis import image_scores
from glip.apis import load_config
from glip.apis.evaluation import build_evaluator
from glip.evaluation import load_predictions
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import command, tool

TOOL = "analysis_tools/analyze_results.py"


def rows_of(out):
    with (out / "images.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("task", "key"), [("coco", "mAP"), ("lvis", "AP")])
def test_command(runs, small_configs, examples, tmp_path, task, key):
    _, _, predictions = runs(task)
    out = tmp_path / "new" / "analysis"
    options = ("--cfg-options", f"data_root={examples[task]}")
    printed = command(
        *(f"tools/{TOOL}", small_configs[task], predictions, out, "--topk", "2"),
        *("--score-thr", "0", *options),
    )
    rows = rows_of(out)
    stored = {str(each["img_id"]): each for each in load_predictions(predictions)}
    assert [row["img_id"] for row in rows] == sorted(stored, key=int)
    scores = [float(row[key]) for row in rows if row[key]]
    assert len(set(scores)) > 1  # the annotations are where the model finds something
    assert f"best.png: 2 images, {key} {max(scores):.3f} to" in printed
    assert f"worst.png: 2 images, {key} {min(scores):.3f} to" in printed
    for row in rows:
        assert (row[key] == "") == (int(row["annotated"]) == 0)
        assert int(row["detected"]) == len(stored[row["img_id"]]["pred_instances"]["scores"])
    for sheet in ("best", "worst"):
        picture = np.array(Image.open(out / f"{sheet}.png"))
        assert picture.shape[1] > 4 * 300  # two images in a row, each twice
        assert picture.std() > 10


@pytest.mark.parametrize(("task", "main"), [("coco", "bbox_mAP"), ("lvis", "AP")])
def test_numbers_are_those_of_a_data_set_of_one_image(
    runs, small_configs, examples, tmp_path, task, main
):
    """An image's AP is the metric's, run with the predictions for this image only."""
    _, _, predictions = runs(task)
    options = ("--cfg-options", f"data_root={examples[task]}")
    images = tool(TOOL).main([str(small_configs[task]), str(predictions), str(tmp_path), *options])
    stored = {each["img_id"]: each for each in load_predictions(predictions)}
    cfg = load_config(small_configs[task], {"data_root": examples[task]})
    compared = 0
    for image in images:
        dataset, _ = image_scores.build(cfg)
        with DefaultScope.overwrite_default_scope("glip"):
            evaluator = build_evaluator(cfg)
        evaluator.dataset_meta = dataset.metainfo
        numbers = evaluator.offline_evaluate([stored[image.info["img_id"]]])
        (value,) = (numbers[key] for key in numbers if key.split("/")[1] == main)
        assert image.score == value
        compared += value > 0
    assert compared


def test_ranks():

    def image(number, score, boxes):
        instances = [dict(ignore_flag=0)] * boxes + [dict(ignore_flag=1)]
        return image_scores.ScoredImage(
            dict(img_id=number, instances=instances), None, dict(AP=score)
        )

    images = [image(1, 0.0, 1), image(2, -1, 0), image(3, 0.7, 1), image(4, 0.0, 4)]
    images += [image(5, 0.7, 2), image(6, 0.3, 9)]
    best, worst = image_scores.rank(images, 4)
    assert [each.info["img_id"] for each in best] == [5, 3, 6, 4]
    assert [each.info["img_id"] for each in worst] == [4, 1, 6, 5]


def test_picture_that_cannot_be_read(runs, small_configs, examples, tmp_path):
    _, _, predictions = runs("coco")
    images = load_predictions(predictions)
    dataset, metric = image_scores.build(
        load_config(small_configs["coco"], {"data_root": examples["coco"]})
    )
    scored = image_scores.score_images(dataset, metric, images)
    classes = dataset.metainfo["classes"]
    whole = image_scores.draw_sheet(scored, classes, 0.0)
    scored[0].info["img_path"] = str(tmp_path / "none.jpg")
    without = image_scores.draw_sheet(scored, classes, 0.0)
    assert whole.shape == without.shape
    assert (whole != without).any()


def test_no_image_with_annotations(small_configs, examples, tmp_path):
    instances = dict(bboxes=[], scores=[], labels=[])
    stored = [dict(img_id=3, pred_instances=instances)]  # which has no annotations
    (tmp_path / "one.json").write_text(json.dumps(stored))
    options = ("--cfg-options", f"data_root={examples['coco']}")
    options += ("test_dataloader.dataset.indices=[2]",)
    arguments = (str(small_configs["coco"]), str(tmp_path / "one.json"), str(tmp_path))
    (image,) = tool(TOOL).main([*arguments, *options])
    assert image.score == -1
    assert [row["mAP"] for row in rows_of(tmp_path)] == [""]
    assert not (tmp_path / "best.png").exists()


@pytest.mark.parametrize(
    ("task", "stored", "options", "message"),
    [
        ("refcoco", [1], (), "expected test data of one data set in COCO or LVIS format"),
        ("odinw", [1], (), "got ConcatDataset"),
        ("coco", [77], (), "1 of 1 images with predictions are not in"),
        ("coco", [1], ("test_evaluator.type=RefExpMetric",), "got RefExpMetric"),
    ],
)
def test_other_data(small_configs, examples, tmp_path, task, stored, options, message):
    instances = dict(bboxes=[], scores=[], labels=[])
    path = tmp_path / "some.json"
    path.write_text(json.dumps([dict(img_id=each, pred_instances=instances) for each in stored]))
    arguments = (str(small_configs[task]), str(path), str(tmp_path / "out"))
    with pytest.raises(USER_ERRORS, match=message):
        tool(TOOL).main([*arguments, "--cfg-options", f"data_root={examples[task]}", *options])
    assert not (tmp_path / "out").exists()
