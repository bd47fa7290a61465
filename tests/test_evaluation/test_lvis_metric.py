"""The LVIS metrics equal those of the lvis package, called directly."""

import json
import logging
from collections import defaultdict

import numpy as np
import pytest

from glip.evaluation import LVISFixedAPMetric, LVISMetric
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileError
from tests.test_evaluation.generated import (
    as_results,
    lvis_truth,
    predictions_for,
    run,
    sample,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore:The 'warn' method:DeprecationWarning")


def classes_of(content):
    """The names, in another order than the ids."""
    return tuple(each["name"] for each in content["categories"])


def predict(content, seed, **others):
    ids = {each["name"]: each["id"] for each in content["categories"]}
    samples = predictions_for(
        content, seed, classes=classes_of(content), category_ids=ids, **others
    )
    return samples, as_results(samples, classes_of(content), ids)


def by_package(monkeypatch, path, results, max_dets=300):
    lvis = pytest.importorskip("lvis", reason="compares with the lvis package")
    monkeypatch.setattr(np, "float", float, raising=False)  # it was written for numpy 1
    logging.disable(logging.WARNING)
    truth = lvis.LVIS(path)
    evaluation = lvis.LVISEval(truth, lvis.LVISResults(truth, results, max_dets), "bbox")
    evaluation.params.max_dets = max_dets
    evaluation.run()
    logging.disable(logging.NOTSET)
    return evaluation


def same(numbers, expected):
    """Equal but for the order of summation."""
    assert len(numbers) == len(expected)
    for (key, value), other in zip(numbers.items(), expected, strict=True):
        assert value == pytest.approx(other, abs=1e-12), key


@pytest.mark.parametrize("seed", range(4))
def test_standard_equals_the_package(tmp_path, monkeypatch, seed):
    content = lvis_truth(seed)
    path = write(tmp_path / "truth.json", content)
    samples, results = predict(content, seed + 20, per_image=60)
    evaluation = by_package(monkeypatch, path, results)
    numbers = run(LVISMetric(path), samples, classes=classes_of(content))
    assert list(numbers) == [f"lvis/bbox_{key}" for key in evaluation.results]
    same(numbers, evaluation.results.values())
    assert 0.02 < numbers["lvis/bbox_AP"] < 0.9


def test_limit_per_image(tmp_path, monkeypatch):
    content = lvis_truth(7)
    path = write(tmp_path / "truth.json", content)
    samples, results = predict(content, 1, per_image=90)
    evaluation = by_package(monkeypatch, path, results, max_dets=20)
    numbers = run(LVISMetric(path, max_dets=20), samples, classes=classes_of(content))
    same(numbers, evaluation.results.values())
    assert "lvis/bbox_ARs@20" in numbers
    unlimited = run(LVISMetric(path), samples, classes=classes_of(content))
    assert numbers["lvis/bbox_AP"] != unlimited["lvis/bbox_AP"]


@pytest.mark.parametrize("topk", [15, 10000])
def test_fixed_equals_the_package(tmp_path, monkeypatch, topk):
    content = lvis_truth(3)
    path = write(tmp_path / "truth.json", content)
    samples, results = predict(content, 4, per_image=400)
    by_class = defaultdict(list)
    for each in sorted(results, key=lambda each: each["image_id"]):
        by_class[each["category_id"]].append(each)
    chosen = [
        each
        for found in by_class.values()
        for each in sorted(found, key=lambda each: -each["score"])[:topk]
    ]
    evaluation = by_package(monkeypatch, path, chosen, max_dets=-1)
    numbers = run(LVISFixedAPMetric(path, topk=topk), samples, classes=classes_of(content))
    expected = {key: value for key, value in evaluation.results.items() if key.startswith("AP")}
    assert list(numbers) == [f"lvis_fixed_ap/{key}" for key in expected]
    same(numbers, expected.values())


def test_fixed_has_no_limit_per_image(tmp_path):
    """400 wrong detections of one class do not displace the correct one of another."""
    content = lvis_truth(0)
    path = write(tmp_path / "truth.json", content)
    wanted = next(each for each in content["annotations"] if each["area"] and "ignore" not in each)
    names = classes_of(content)
    ids = [each["id"] for each in content["categories"]]
    label = ids.index(wanted["category_id"])
    x, y, w, h = wanted["bbox"]
    boxes = [[1, 1, 9, 9]] * 400 + [[x, y, x + w, y + h]]
    labels, scores = [(label + 1) % len(ids)] * 400 + [label], [0.9] * 400 + [0.1]
    samples = [sample(wanted["image_id"], boxes, scores, labels)]
    key = f"{names[label]}_precision"
    fixed = run(LVISFixedAPMetric(path, classwise=True), samples, classes=names)
    standard = run(LVISMetric(path, classwise=True), samples, classes=names)
    assert fixed[f"lvis_fixed_ap/{key}"] > 0
    assert standard[f"lvis/{key}"] == 0


def test_by_class(tmp_path, monkeypatch):
    content = lvis_truth(2)
    path = write(tmp_path / "truth.json", content)
    samples, results = predict(content, 2)
    precision = by_package(monkeypatch, path, results).eval["precision"]
    numbers = run(LVISMetric(path, classwise=True), samples, classes=classes_of(content))
    ids = sorted(each["id"] for each in content["categories"])
    for each in content["categories"]:
        values = precision[:, :, ids.index(each["id"]), 0]
        expected = values[values > -1].mean() if (values > -1).any() else np.nan
        found = numbers[f"lvis/{each['name']}_precision"]
        assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_nothing_detected_or_annotated(tmp_path):
    content = lvis_truth(1)
    path = write(tmp_path / "truth.json", content)
    nothing = [sample(each["id"], [], [], []) for each in content["images"]]
    assert run(LVISMetric(path), nothing, classes=classes_of(content))["lvis/bbox_AP"] == 0
    bare = write(tmp_path / "bare.json", {**content, "annotations": []})
    samples, _ = predict(content, 2)
    numbers = run(LVISFixedAPMetric(bare), samples, classes=classes_of(content))
    assert set(numbers.values()) == {-1.0}


def test_writes_results(tmp_path):
    content = lvis_truth(1)
    path = write(tmp_path / "truth.json", content)
    samples, results = predict(content, 2)
    prefix = tmp_path / "mine"
    metric = LVISFixedAPMetric(path, format_only=True, outfile_prefix=str(prefix))
    assert run(metric, samples, classes=classes_of(content)) == {}
    written = json.loads((tmp_path / "mine.bbox.json").read_text())
    assert sorted(map(str, written)) == sorted(map(str, results))


def test_metric_items(tmp_path):
    content = lvis_truth(1)
    path = write(tmp_path / "truth.json", content)
    samples, _ = predict(content, 2)
    metric = LVISMetric(path, metric_items=["AP", "APr"])
    numbers = run(metric, samples, classes=classes_of(content))
    assert list(numbers) == ["lvis/bbox_AP", "lvis/bbox_APr"]
    with pytest.raises(ValueError, match="APx"):
        METRICS.build(dict(type="LVISMetric", metric_items=["APx"]))


def test_not_federated(tmp_path):
    content = lvis_truth(1)
    del content["images"][5]["neg_category_ids"]
    path = write(tmp_path / "truth.json", content)
    with pytest.raises(AnnotationFileError, match="not in LVIS's format"):
        LVISMetric(path).dataset_meta = dict(classes=classes_of(content))


def test_docstring_names_the_source():
    assert "10,000" in LVISFixedAPMetric.__doc__
    assert "2102.01066" in LVISFixedAPMetric.__doc__
