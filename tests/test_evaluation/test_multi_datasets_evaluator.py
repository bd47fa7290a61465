"""The metrics of each data set equal those of an evaluation of it alone."""

import json
import math

import pytest
import torch
from mmengine.structures import InstanceData

from glip.evaluation import CocoMetric, DumpDetResults, load_predictions
from glip.registry import EVALUATOR
from glip.structures import DetDataSample
from glip.utils.errors import AnnotationFileNotFoundError
from tests.test_evaluation.generated import CLASSES, coco_truth, predictions_for, run, write

NAMES = ("Aquarium", "pistols", "pothole")


@pytest.fixture
def paths(tmp_path):
    return [write(tmp_path / f"{at}.json", coco_truth(at, 10)) for at in range(3)]


def predictions(which=(0, 1, 2)):
    """The samples of all data sets, interleaved; they share some image ids."""
    every = []
    for at in which:
        for each in predictions_for(coco_truth(at, 10), at):
            every.append({**each, "dataset_index": at})
    return sorted(every, key=lambda each: each["img_id"])


def build(paths, **others):
    metrics = [dict(type="CocoMetric", ann_file=path, metric="bbox") for path in paths]
    config = dict(type="MultiDatasetsEvaluator", metrics=metrics, dataset_prefixes=NAMES)
    return EVALUATOR.build({**config, **others})


def meta(absent=()):
    known = [None if at in absent else dict(classes=CLASSES) for at in range(3)]
    return dict(datasets=known, sizes=[0 if each is None else 10 for each in known])


def evaluate(evaluator, samples):
    for start in range(0, len(samples), 4):
        evaluator.process(samples[start : start + 4])
    return evaluator.evaluate(len(samples))


def test_metrics_of_each_data_set_and_the_average(paths):
    evaluator = build(paths)
    evaluator.dataset_meta = meta()
    numbers = evaluate(evaluator, predictions())
    average = 0
    for at, name in enumerate(NAMES):
        alone = run(CocoMetric(paths[at]), predictions_for(coco_truth(at, 10), at))
        average += alone["coco/bbox_mAP"] / 3
        for key, value in alone.items():
            assert numbers[f"{name}/{key}"] == value
    assert math.isclose(numbers["average/coco/bbox_mAP"], average)
    assert len(numbers) == 3 * 12 + 1


def test_absent_data_sets_are_not_averaged(paths, tmp_path):
    evaluator = build([paths[0], str(tmp_path / "none.json"), paths[2]])
    evaluator.dataset_meta = meta(absent=[1])
    numbers = evaluate(evaluator, predictions([0, 2]))
    assert not any(key.startswith("pistols") for key in numbers)
    two = [numbers[f"{name}/coco/bbox_mAP"] for name in ("Aquarium", "pothole")]
    assert math.isclose(numbers["average/coco/bbox_mAP"], sum(two) / 2)


def test_logs_a_table(paths, tmp_path, monkeypatch):
    tables = []
    monkeypatch.setattr(
        "glip.evaluation.multi_datasets_evaluator.log_table",
        lambda header, rows: tables.append((header, rows)),
    )
    evaluator = build([paths[0], str(tmp_path / "none.json"), paths[2]])
    evaluator.dataset_meta = meta(absent=[1])
    numbers = evaluate(evaluator, predictions([0, 2]))
    ((header, rows),) = tables
    assert header[:3] == ["data set", "mAP", "mAP_50"]
    assert [row[0] for row in rows] == ["Aquarium", "pistols (absent)", "pothole", "average"]
    assert rows[2][1:3] == [numbers[f"pothole/coco/bbox_{key}"] for key in header[1:3]]


def test_data_set_without_annotation_file(paths, tmp_path):
    evaluator = build([paths[0], str(tmp_path / "none.json"), paths[2]])
    with pytest.raises(
        AnnotationFileNotFoundError, match=r"pistols cannot be evaluated.*none\.json"
    ):
        evaluator.dataset_meta = meta()


def test_takes_data_samples(paths):
    evaluator = build(paths)
    evaluator.dataset_meta = meta()
    expected = evaluate(evaluator, predictions())
    packed = []
    for each in predictions():
        sample = DetDataSample(metainfo={k: v for k, v in each.items() if k != "pred_instances"})
        sample.pred_instances = InstanceData(**each["pred_instances"])
        packed.append(sample)
    assert evaluate(evaluator, packed) == expected


@pytest.mark.parametrize("appended", [False, True])
def test_metrics_over_all_data_sets(paths, tmp_path, appended):
    out = str(tmp_path / "all.pkl")
    if appended:
        evaluator = build(paths)
        evaluator.metrics.append(DumpDetResults(out))
    else:
        evaluator = build(paths, extra_metrics=[dict(type="DumpDetResults", out_file_path=out)])
    evaluator.dataset_meta = meta()
    expected = evaluate(evaluator, predictions())
    stored = load_predictions(out)
    assert len(stored) == 30
    assert torch.is_tensor(stored[0]["pred_instances"]["bboxes"])
    again = build(paths)
    again.dataset_meta = meta()
    assert again.offline_evaluate(stored, chunk_size=5) == expected


def test_submission(paths, tmp_path):
    evaluator = build(paths, submission_file=str(tmp_path / "out" / "all_predictions.json"))
    evaluator.dataset_meta = meta()
    evaluate(evaluator, predictions())
    written = json.loads((tmp_path / "out" / "all_predictions.json").read_text())
    assert list(written) == list(NAMES)
    assert set(written["pothole"][0]) == {"image_id", "category_id", "bbox", "score"}
    with pytest.raises(ValueError, match="must be CocoMetric, got Flickr30kMetric"):
        build(
            paths, metrics=[dict(type="Flickr30kMetric")] * 3, submission_file=str(tmp_path / "x")
        )


def test_one_data_set_without_concatenation(paths):
    evaluator = build(paths[:1], dataset_prefixes=["only"])
    evaluator.dataset_meta = dict(classes=CLASSES)
    samples = predictions_for(coco_truth(0, 10), 0)
    expected = run(CocoMetric(paths[0]), samples)["coco/bbox_mAP"]
    assert evaluate(evaluator, samples)["only/coco/bbox_mAP"] == expected


def test_mismatches(paths):
    with pytest.raises(ValueError, match="one metric and one unique prefix"):
        build(paths, dataset_prefixes=NAMES[:2])
    with pytest.raises(ValueError, match="one metric and one unique prefix"):
        build(paths, dataset_prefixes=["same"] * 3)
    with pytest.raises(ValueError, match="use a ConcatDataset"):
        build(paths).dataset_meta = dict(classes=CLASSES)
    evaluator = build(paths)
    evaluator.dataset_meta = meta()
    with pytest.raises(ValueError, match="dataset_index"):
        evaluator.process(predictions_for(coco_truth(0, 10), 0))
