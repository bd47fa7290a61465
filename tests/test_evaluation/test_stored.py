"""Stored predictions are checked before anything is counted."""

import copy
import json
import pickle

import numpy as np
import pytest

from glip.datasets import ConcatDataset
from glip.evaluation import check_predictions, load_predictions
from glip.utils.errors import DataError

GOOD = dict(
    img_id=3,
    pred_instances=dict(
        bboxes=[[1, 2, 3, 4], [5, 6, 7, 8.5]],
        scores=[0.5, 1],
        labels=[0, 1],
        label_names=["a", "b"],
    ),
)
NONE = dict(bboxes=[], scores=[], labels=[])
NAN, INF = float("nan"), float("inf")


def changed(key, value):
    entry = copy.deepcopy(GOOD)
    (entry if key in entry else entry["pred_instances"])[key] = value
    return [entry]


BAD = {
    "an object": {},
    "no images": [],
    "numbers": [1, 2],
    "texts": ["a"],
    "COCO's results": [{"image_id": 1, "bbox": [0, 0, 1, 1], "score": 1}],
    "no img_id": [dict(pred_instances=NONE)],
    "no pred_instances": [dict(img_id=1)],
    "pred_instances a list": changed("pred_instances", []),
    "no scores": [dict(img_id=1, pred_instances=dict(bboxes=[], labels=[]))],
    "img_id null": changed("img_id", None),
    "img_id 1.5": changed("img_id", 1.5),
    "img_id true": changed("img_id", True),
    "img_id a list": changed("img_id", [1]),
    "img_id twice": [GOOD, GOOD],
    "label -1": changed("labels", [0, -1]),
    "label 1.7": changed("labels", [0, 1.7]),
    "label 10^30": changed("labels", [0, 10**30]),
    "label a text": changed("labels", [0, "1"]),
    "labels true": changed("labels", [True, True]),
    "labels null": changed("labels", None),
    "labels nested": changed("labels", [[0], [1]]),
    "labels ragged": changed("labels", [[0], 1]),
    "score NaN": changed("scores", [0.5, NAN]),
    "score 10^400": changed("scores", [0.5, 10**400]),
    "label 1e10": changed("labels", [0, 1e10]),
    "score 2": changed("scores", [0.5, 2.0]),
    "score -1": changed("scores", [0.5, -1]),
    "score 1.0001": changed("scores", [0.5, 1.0001]),
    "scores in percent": changed("scores", [50, 99]),
    "logits": changed("scores", [-3.2, 0.7]),
    "scores true": changed("scores", [True, False]),
    "xywh": changed("bboxes", [[100, 200, 30, 40], [5, 6, 7, 8]]),
    "x2 < x1": changed("bboxes", [[3, 2, 1, 4], [5, 6, 7, 8]]),
    "y2 < y1": changed("bboxes", [[1, 4, 3, 2], [5, 6, 7, 8]]),
    "x2 < x1 by little": changed("bboxes", [[3, 2, 2.999, 4], [5, 6, 7, 8]]),
    "scores too few": changed("scores", [0.5]),
    "scores too many": changed("scores", [0.5, 0.5, 0.5]),
    "box NaN": changed("bboxes", [[1, 2, 3, NAN], [5, 6, 7, 8]]),
    "box Inf": changed("bboxes", [[1, 2, 3, INF], [5, 6, 7, 8]]),
    "box 1e39": changed("bboxes", [[1, 2, 3, 1e39], [5, 6, 7, 8]]),
    "boxes of five": changed("bboxes", [[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]]),
    "boxes flat": changed("bboxes", [1, 2, 3, 4, 5, 6, 7, 8]),
    "boxes of texts": changed("bboxes", [["1", "2", "3", "4"]] * 2),
    "boxes a dict": changed("bboxes", {"x": 1}),
    "names too few": changed("label_names", ["a"]),
    "names of numbers": changed("label_names", [1, 2]),
}


@pytest.mark.parametrize("extension", ["json", "pkl"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_predictions(kind, extension, tmp_path):
    path = tmp_path / f"x.{extension}"
    content = BAD[kind]
    path.write_bytes(json.dumps(content).encode() if extension == "json" else pickle.dumps(content))
    with pytest.raises(DataError) as caught:
        load_predictions(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_number_of_bad_images(tmp_path):
    entries = [dict(copy.deepcopy(GOOD), img_id=number) for number in range(5)]
    for at in (1, 3):
        entries[at]["pred_instances"]["scores"] = [0.5, 7.0]
    (tmp_path / "x.json").write_text(json.dumps(entries))
    message = r"2 of 5 images .* image 1 \(img_id 1\) has 1 scores that are not .* example 7\.0$"
    with pytest.raises(DataError, match=message):
        load_predictions(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("labels", [0.0, 1.0]),  # as pandas and JavaScript write integers
        ("scores", [0, 1]),
        ("bboxes", [[1, 2, 1, 2], [5, 6, 7, 8]]),  # no area
        ("bboxes", [[-5, -6, 1, 2], [5, 6, 7e6, 8]]),  # outside the image
        ("label_names", None),
    ],
)
def test_unusual_predictions(key, value, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(changed(key, value)))
    (image,) = load_predictions(tmp_path / "x.json")
    assert image["pred_instances"]["labels"].tolist() == [0, 1]


@pytest.mark.parametrize(
    "content", ["", "{", "[" * 100_000, "9" * 5000, "\x00", '["\\ud800"', '[{"img_id": 1, "pred']
)
def test_bad_json(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(DataError, match=r"x\.json"):
        load_predictions(tmp_path / "x.json")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_good_predictions(protocol, tmp_path):
    arrays = copy.deepcopy(GOOD)
    arrays["img_id"] = np.int64(3)
    given = arrays["pred_instances"]
    given.update(
        bboxes=np.array(given["bboxes"], np.float32), labels=np.array(given["labels"], np.int64)
    )
    (tmp_path / "x.pkl").write_bytes(
        pickle.dumps([arrays, dict(img_id="b", pred_instances=NONE)], protocol)
    )
    first, second = load_predictions(tmp_path / "x.pkl")
    assert first["img_id"] == 3
    assert first["pred_instances"]["bboxes"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]
    assert first["pred_instances"]["labels"].tolist() == [0, 1]
    assert second["pred_instances"]["bboxes"].shape == (0, 4)


class FakeDataset:
    ann_file = "data.json"

    @property
    def metainfo(self):
        return dict(classes=("a", "b"))

    def __len__(self):
        return 2

    def get_data_info(self, index):
        return dict(img_id=3 + index)


@pytest.mark.parametrize(
    ("ids", "labels", "index", "message"),
    [
        ([3, 4], [0, 1], 1, None),
        (["3", 4], [0, 1], 1, "1 of 2 images with predictions are not in 'data.json', for example"),
        ([3, 4, 7], [0, 1], 1, "1 of 3 images .* of other data"),
        ([3, 4], [0, 2], 1, "2 of 2 images .* for example 3 the label 2 of 2 classes"),
        ([3], [0, 1], 1, r"1 of the 2 images of 'data.json' have no entry .* example \[4\]"),
        ([4], [0, 1], 1, r"example \[3\]: store the predictions of all images"),
        ([3, 4], [0, 1], 5, "2 of 2 images .* of other data"),
        ([3, 4], [0, 1], None, "2 of 2 images .* of other data"),
    ],
)
@pytest.mark.parametrize("concatenated", [False, True])
def test_predictions_of_other_data(ids, labels, index, message, concatenated, tmp_path):
    dataset = FakeDataset()
    entries = [dict(changed("labels", labels)[0], img_id=each) for each in ids]
    if concatenated:
        dataset = ConcatDataset.__new__(ConcatDataset)
        dataset.datasets, dataset.missing = [FakeDataset()], ["missing", None]
        dataset.ann_file = "data.json"
        entries = [dict(each, dataset_index=index) for each in entries]
    elif index == 5:
        entries = [dict(each, dataset_index=5) for each in entries]
    elif index is None:
        message = None  # of one data set, which has no index
    (tmp_path / "x.json").write_text(json.dumps(entries))
    predictions = load_predictions(tmp_path / "x.json")
    if message is None:
        check_predictions(predictions, dataset, "x.json")
        return
    with pytest.raises(DataError, match=message):
        check_predictions(predictions, dataset, "x.json")
