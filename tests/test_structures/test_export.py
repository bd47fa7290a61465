"""Detections filtered, and in the formats of other libraries."""

import contextlib
import io
import json
import sys

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO

from glip.apis import inference_detector
from glip.structures import DetDataSample
from glip.text import Prompt
from glip.utils.errors import ConfigError, DataError, DependencyError

BOXES = torch.tensor([[1.004, 2.0, 11.0, 22.006], [0.0, 0.0, 60.0, 40.0], [5.0, 5.0, 6.0, 6.0]])


@pytest.fixture
def sample(tmp_path):
    """Two kinds of objects in an image of 60 x 40 pixels."""
    path = tmp_path / "a.png"
    Image.new("RGB", (60, 40), "white").save(path)
    sample = DetDataSample(metainfo=dict(img_id=7, img_path=str(path), ori_shape=(40, 60)))
    sample.prompt = Prompt.from_class_names(["cat", "traffic light", "dog"])
    sample.pred_instances = InstanceData(
        bboxes=BOXES,
        scores=torch.tensor([0.9, 0.3, 0.123456]),
        labels=torch.tensor([2, 0, 0]),
        label_names=["dog", "cat", "cat"],
    )
    return sample


@pytest.fixture
def empty(sample):
    return sample.filter(1.1)


def test_filter(sample, empty):
    before = sample.pred_instances
    kept = sample.filter(0.3)  # as float32 slightly above 0.3: the bound itself is kept
    assert kept.pred_instances.label_names == ["dog", "cat"]
    assert torch.equal(kept.pred_instances.bboxes, BOXES[:2])
    assert kept.prompt == sample.prompt
    assert kept.img_id == 7
    assert sample.pred_instances is before
    assert len(before) == 3
    assert len(sample.filter(0).pred_instances) == 3
    assert len(empty.pred_instances) == len(empty.filter(0.5).pred_instances) == 0
    assert sample.numpy().filter(0.5).pred_instances.label_names == ["dog"]
    for wrong in (None, "0.5", float("nan"), True):
        with pytest.raises(ConfigError, match="score_thr"):
            sample.filter(wrong)


def test_json(sample, empty):
    found = json.loads(sample.to_json(indent=2))
    assert found == dict(
        image=sample.img_path,
        width=60,
        height=40,
        prompt="cat. traffic light. dog",
        labels=[2, 0, 0],
        label_names=["dog", "cat", "cat"],
        scores=[0.9, 0.3, 0.1235],
        bboxes=[[1.0, 2, 11, 22.01], [0, 0, 60, 40], [5, 5, 6, 6]],
    )
    assert json.loads(sample.numpy().to_json()) == found
    assert json.loads(empty.to_json())["bboxes"] == []
    sample.prompt = Prompt.from_class_names(["猫"])
    assert "猫" in sample.to_json()


def test_coco(sample, empty, tmp_path):
    content = sample.to_coco()
    assert content["images"] == [dict(id=7, file_name="a.png", width=60, height=40)]
    assert [each["name"] for each in content["categories"]] == ["cat", "traffic light", "dog"]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
        results = coco.loadRes(content["annotations"])
    assert len(results.anns) == 3
    first = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["dog"])))
    assert [(each["image_id"], each["bbox"], each["score"]) for each in first] == [
        (7, [1.0, 2.0, 10.0, 20.01], 0.9)
    ]
    other = sample.to_coco(image_id=3, category_ids=[17, 10, 18])
    assert [each["category_id"] for each in other["annotations"]] == [18, 17, 17]
    assert {each["image_id"] for each in other["annotations"]} == {3}
    with pytest.raises(DataError, match="3 class names, got 1"):
        sample.to_coco(category_ids=[1])
    assert empty.to_coco()["annotations"] == []
    del sample.prompt  # as in a sample of another detector
    names = [each["name"] for each in sample.to_coco()["categories"]]
    assert names == ["cat", "class 1", "dog"]


def test_pandas(sample, empty):
    pandas = pytest.importorskip("pandas")
    table = sample.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table) == ["label", "label_name", "score", "x1", "y1", "x2", "y2"]
    assert table[table.score > 0.2].groupby("label_name").size().to_dict() == dict(cat=1, dog=1)
    np.testing.assert_array_equal(table[["x1", "y1", "x2", "y2"]], BOXES.double())
    assert len(empty.to_pandas()) == 0
    assert list(empty.to_pandas()) == list(table)


def test_supervision(sample, empty):
    supervision = pytest.importorskip("supervision")
    found = sample.to_supervision()
    assert isinstance(found, supervision.Detections)
    np.testing.assert_array_equal(found.xyxy, BOXES)
    np.testing.assert_array_equal(found.class_id, [2, 0, 0])
    assert list(found["class_name"]) == ["dog", "cat", "cat"]
    assert list(found[found.confidence > 0.5]["class_name"]) == ["dog"]
    assert len(empty.to_supervision()) == 0
    image = np.zeros((40, 60, 3), np.uint8)
    assert supervision.BoxAnnotator().annotate(image.copy(), found).any()


@pytest.mark.parametrize("name", ["pandas", "supervision"])
def test_library_that_is_missing(sample, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=f"pip install {name}"):
        getattr(sample, f"to_{name}")()


def test_plot(sample, empty):
    drawn = np.asarray(sample.plot())
    assert drawn.shape == (40, 60, 3)
    assert (drawn != 255).any()
    assert (np.asarray(empty.plot()) == 255).all()
    image = np.zeros((40, 60, 3), np.uint8)
    assert np.asarray(sample.plot(image)).any()
    assert not image.any()
    with pytest.raises(DataError, match=r"60 x 40 pixels.*got 40 x 60"):
        sample.plot(image.transpose(1, 0, 2))
    with pytest.raises(DataError, match="RGB array"):
        sample.plot(image[..., 0])
    sample.set_metainfo(dict(img_path=None))
    with pytest.raises(DataError, match="pass the image"):
        sample.plot()


def test_without_detections():
    sample = DetDataSample()
    for name in ("to_json", "to_coco", "to_pandas", "to_supervision", "plot"):
        with pytest.raises(DataError, match="has no detections"):
            getattr(sample, name)()
    with pytest.raises(DataError, match="has no detections"):
        sample.filter(0.5)


def test_of_a_detector(tiny_model, photo):
    """The detector's own samples, with the demo image from its file."""
    sample = inference_detector(tiny_model, photo, text_prompt="bench . car .")
    kept = sample.filter(0.5)
    assert 0 < len(kept.pred_instances) < len(sample.pred_instances)
    assert json.loads(kept.to_json())["image"] == str(photo)
    assert {each["name"] for each in kept.to_coco()["categories"]} == {"bench", "car"}
    assert kept.plot().size == (640, 427)
