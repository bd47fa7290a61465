"""The annotations to evaluate on, and detections in COCO's result format."""

import numpy as np
import pytest

from glip.evaluation import Predictions
from glip.evaluation.ground_truth import load_ground_truth, to_coco_results
from glip.utils.errors import AnnotationFileError
from tests.test_evaluation.generated import CATEGORY_IDS, CLASSES, coco_truth, write


def test_category_ids(tmp_path):
    truth = load_ground_truth(write(tmp_path / "truth.json", coco_truth()), CLASSES)
    assert truth.category_ids == tuple(CATEGORY_IDS[name] for name in CLASSES)
    assert truth.evaluated_ids == sorted(CATEGORY_IDS.values())
    assert truth.category_names()[90] == "traffic light"


def test_missing_fields_are_completed(tmp_path):
    content = coco_truth()
    first = content["annotations"][0]
    first.update(area=float("nan"), bbox=[1, 2, 3, 4])
    del first["iscrowd"]
    truth = load_ground_truth(write(tmp_path / "truth.json", content), CLASSES)
    loaded = next(each for each in truth.file.all_annotations() if each["id"] == first["id"])
    assert (loaded["area"], loaded["iscrowd"]) == (12, 0)


def test_warnings(tmp_path, monkeypatch):
    messages = []
    monkeypatch.setattr(
        "glip.datasets.annotation_file.print_log", lambda message, **_: messages.append(message)
    )
    content = coco_truth()
    content["annotations"][0]["bbox"][2] = -3
    content["annotations"][2]["bbox"] = None
    load_ground_truth(write(tmp_path / "truth.json", content), CLASSES)
    assert "1 annotation without a box of four numbers" in messages[0]
    assert "zero-area box (id 1)" in messages[1]


def test_no_images(tmp_path):
    with pytest.raises(AnnotationFileError, match="nothing to evaluate on"):
        load_ground_truth(write(tmp_path / "truth.json", dict(images=[])), CLASSES)


def test_results():
    found = Predictions(
        np.array([[1.0, 2, 4, 6], [0, 0, 1, 1]]), np.array([0.5, 0.25]), np.array([1, 0])
    )
    assert to_coco_results(7, found, [None, 90]) == [
        dict(image_id=7, category_id=90, bbox=[1, 2, 3, 4], score=0.5)
    ]
    with pytest.raises(ValueError, match="label 1, but there are 1 classes"):
        to_coco_results(7, found, [3])
