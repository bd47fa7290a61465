"""Data sets, metrics and converters read the same of a file, and stop if nothing is left."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from glip.cli.dataset_converters import coco2odvg
from glip.datasets import CocoDataset
from glip.evaluation.ground_truth import load_ground_truth
from glip.utils.errors import AnnotationFileError
from tests.test_datasets.files import CLASSES, PIPELINE, coco_content, draw, write


def change_all(**fields):
    content = coco_content()
    for each in content["annotations"]:
        each.update(fields)
    return content


@pytest.mark.parametrize(
    "fields",
    [
        dict(bbox=None),
        dict(bbox=[1, 2, 3, 4, 0]),
        dict(bbox=[1, 2, math.nan, 4]),
        dict(bbox=[10**400, 2, 3, 4]),
        dict(bbox=[30, 30, -10, -10]),
        dict(bbox=[0.1, 0.1, 0.5, 0.5]),
        dict(category_id=None),
        dict(category_id=[5]),
        dict(category_id=404),
        dict(image_id=None),
        dict(image_id=[30]),
        dict(image_id="404"),
        dict(iscrowd="maybe"),
        dict(ignore=[0]),
    ],
)
def test_nothing_left_is_an_error_everywhere(tmp_path, fields):
    path = write(tmp_path, change_all(**fields))
    message = r"none of the 3 annotations .* can be used: 3 annotations .*\. "
    for test_mode in (False, "bbox" in fields and fields["bbox"] != [30, 30, -10, -10]):
        with pytest.raises(AnnotationFileError, match=message):
            CocoDataset(path, metainfo=dict(classes=CLASSES), test_mode=test_mode)
    with pytest.raises(AnnotationFileError, match=message) as caught:
        load_ground_truth(path, CLASSES)
    assert len(str(caught.value)) < 700
    if fields.get("bbox") != [0.1, 0.1, 0.5, 0.5]:  # a converter keeps boxes of any size
        with pytest.raises(AnnotationFileError, match="can be used"):
            coco2odvg.main([path, str(tmp_path / "out.jsonl")])


@pytest.mark.parametrize("text", [False, True])
def test_the_same_boxes(tmp_path, text):
    content = coco_content()
    if text:
        for each in content["annotations"]:
            each.update(
                bbox=list(map(str, each["bbox"])),
                iscrowd=str(each["iscrowd"]),
                image_id=str(each["image_id"]),
                category_id=f"{each['category_id']}.0",
                id=f"obj {each['id']}",
            )
        for each in content["images"]:
            each.update(width=-1, file_name="images\\" + each["file_name"])
    draw(tmp_path, coco_content())
    path = write(tmp_path, content)
    dataset = CocoDataset(
        path, metainfo=dict(classes=CLASSES), data_prefix=dict(img=str(tmp_path)), pipeline=PIPELINE
    )
    infos = [dataset.get_data_info(at) for at in range(3)]
    boxes = [[each["bbox"] for each in info["instances"]] for info in infos]
    assert boxes == [[[1, 2, 11, 22], [5, 5, 35, 35]], [[40, 40, 60, 60]], []]
    assert [info["width"] for info in infos] == [60, 50, 30]
    assert dataset[0] is not None
    truth = load_ground_truth(path, CLASSES)
    assert [each["bbox"] for each in truth.file.annotations[30]] == [[1, 2, 10, 20], [5, 5, 30, 30]]
    assert [each["iscrowd"] for each in truth.file.annotations[30]] == [0, 1]
    coco2odvg.main([path, str(tmp_path / "out.jsonl"), "--img-root", str(tmp_path)])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    found = [[each["bbox"] for each in line["detection"]["instances"]] for line in lines]
    assert found == [[[1, 2, 11, 22]], [[40, 40, 50, 50]], []]
    assert [line["width"] for line in lines] == [60, 50, 30]


def test_images_of_another_size(tmp_path):
    content = coco_content()
    draw(tmp_path, content)
    for each in content["images"]:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.open(tmp_path / each["file_name"]).save(tmp_path / each["file_name"], exif=exif)
        each.update(height=each["height"] + 20)
    path = write(tmp_path, content)
    dataset = CocoDataset(
        path, metainfo=dict(classes=CLASSES), data_prefix=dict(img=str(tmp_path)), pipeline=PIPELINE
    )
    with pytest.raises(AnnotationFileError, match=r"3 of 3 images .* have another size"):
        dataset[0]
    with pytest.raises(AnnotationFileError, match=r"3 of 3 images .* have another size"):
        coco2odvg.main([path, str(tmp_path / "out.jsonl"), "--img-root", str(tmp_path)])
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("fractions", [False, True])
def test_unusual_layouts_are_reported(tmp_path, monkeypatch, fractions):
    messages = []
    monkeypatch.setattr(
        "glip.datasets.annotation_file.print_log", lambda message, **_: messages.append(message)
    )
    content = coco_content()
    for number in range(40):
        left, top, width, height = np.random.default_rng(number).integers(1, 20, 4).tolist()
        left += 0 if fractions else 31
        box = [left, top, left + width, top + height]
        box = [each / 100 for each in box] if fractions else box
        content["annotations"].append(dict(id=90 + number, image_id=30, category_id=5, bbox=box))
    load_ground_truth(write(tmp_path, content), CLASSES)
    expected = "within 0 and 1" if fractions else "extend beyond"
    assert any(expected in each for each in messages)
