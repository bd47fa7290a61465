"""Stored predictions give the same metrics; the submission has the challenge's format."""

import json
import pickle
from pathlib import Path

import pytest
from mmengine.evaluator import Evaluator

from glip.evaluation import CocoMetric, load_predictions, write_odinw_submission
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileNotFoundError, DataError
from tests.test_evaluation.generated import CLASSES, coco_truth, predictions_for, run, sample, write


@pytest.mark.parametrize("name", ["out/preds.pkl", "out/preds.json"])
def test_round_trip(tmp_path, name):
    path = write(tmp_path / "truth.json", coco_truth())
    samples = predictions_for(coco_truth())
    expected = run(CocoMetric(path), samples)
    out = str(tmp_path / name)
    assert run(METRICS.build(dict(type="DumpDetResults", out_file_path=out)), samples) == {}
    stored = load_predictions(out)
    assert [each["img_id"] for each in stored] == [each["img_id"] for each in samples]
    evaluator = Evaluator(CocoMetric(path))
    evaluator.dataset_meta = dict(classes=CLASSES)
    assert evaluator.offline_evaluate(stored, chunk_size=7) == expected


def test_stored_keys(tmp_path):
    out = str(tmp_path / "preds.json")
    one = sample(
        5,
        [[1, 2, 3, 4]],
        [0.5],
        [0],
        text=("cat", "dog"),
        caption_prompt=None,
        phrase_types=[["people"]],
        unreadable=False,
        gt_instances=dict(labels=[1]),
    )
    one["pred_instances"]["label_names"] = ["cat"]
    run(METRICS.build(dict(type="DumpDetResults", out_file_path=out)), [one, one], classes=None)
    (kept,) = load_predictions(out)
    assert kept["pred_instances"]["label_names"] == ["cat"]
    assert kept["phrase_types"] == [["people"]]
    assert not {"text", "caption_prompt", "gt_instances"} & set(kept)


def test_data_sets_with_the_same_image_ids(tmp_path):
    out = str(tmp_path / "preds.pkl")
    both = [sample(1, [], [], [], dataset_index=at) for at in (0, 1, 0)]
    run(METRICS.build(dict(type="DumpDetResults", out_file_path=out)), both, classes=None)
    assert [each["dataset_index"] for each in load_predictions(out)] == [0, 1]


def test_submission(tmp_path):
    rows = [dict(image_id=1, category_id=2, bbox=[1, 2, 3, 4], score=0.5)]
    parts = {name: write(tmp_path / f"{name}.json", rows) for name in ("Aquarium", "pistols")}
    write_odinw_submission(parts, tmp_path / "to" / "all_predictions.json")
    written = json.loads((tmp_path / "to" / "all_predictions.json").read_text())
    assert written == {"Aquarium": rows, "pistols": rows}


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="end in one of"):
        METRICS.build(dict(type="DumpDetResults", out_file_path="preds.csv"))
    with pytest.raises(AnnotationFileNotFoundError):
        load_predictions(tmp_path / "none.pkl")
    with pytest.raises(ValueError, match="does not hold predictions"):
        load_predictions(write(tmp_path / "other.json", [dict(score=1)]))


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_pickles_run_no_code(tmp_path):
    file = tmp_path / "preds.pkl"
    file.write_bytes(pickle.dumps([{"pred_instances": Evil(tmp_path / "ran")}]))
    with pytest.raises(DataError, match=r"preds\.pkl"):
        load_predictions(file)
    assert not (tmp_path / "ran").exists()
