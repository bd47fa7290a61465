"""Labels in the formats of other tools, read back with the tools' own readers where they are."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from glip.datasets.odvg.records import check_record
from glip.datasets.odvg.writing import read_label_map
from glip.labeling.formats.export import FORMATS, TARGETS, check_format, write_format
from glip.utils.errors import DataError, LabelingMismatchError
from tests.test_labeling.exported import IMAGES, NAMES, make_export, write_all

FOUND = [
    (name, label, np.array(box), score)
    for name, (_, found) in IMAGES.items()
    for box, label, score in found
]


def test_coco(tmp_path):
    export = write_all(tmp_path, "coco")
    coco = COCO(str(export.files.coco()))
    assert [coco.imgs[key]["file_name"] for key in sorted(coco.imgs)] == list(IMAGES)
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == NAMES
    read = [coco.anns[key] for key in sorted(coco.anns)]
    for each, (name, label, box, score) in zip(read, FOUND, strict=True):
        assert coco.imgs[each["image_id"]]["file_name"] == name
        assert (each["category_id"], each["score"], each["prompt"]) == (label + 1, score, "star")
        np.testing.assert_allclose(each["bbox"], [*box[:2], *(box[2:] - box[:2])], atol=0.01)
    assert coco.dataset["info"]["version"] == "nano 1a2b3c4d"


def test_yolo(tmp_path):
    export = write_all(tmp_path, "yolo")
    data = yaml.safe_load((export.files.folder / "data.yaml").read_text())
    assert data["names"] == dict(enumerate(NAMES))
    labels = export.files.folder / "labels"
    for name, ((width, height), found) in IMAGES.items():
        image = export.files.folder / "images" / name
        assert image.read_bytes() == (tmp_path / "images" / name).read_bytes()
        content = (labels / name).with_suffix(".txt").read_text()
        rows = np.array([list(map(float, line.split())) for line in content.splitlines()])
        assert len(rows) == len(found)
        for (label, *row), (box, own, _) in zip(rows, found, strict=True):
            center, size = np.array(row).reshape(2, 2) * (width, height)
            assert label == own
            np.testing.assert_allclose([*(center - size / 2), *(center + size / 2)], box, atol=1e-3)


@pytest.mark.parametrize(
    "error", [OSError(1, "not permitted"), OSError(95, "not supported"), NotImplementedError()]
)
def test_yolo_copies_images_where_there_are_no_links(tmp_path, monkeypatch, error):
    """As on FAT disks, some network disks, and Windows without the privilege."""

    def refuse(source, target):
        raise error

    monkeypatch.setattr(os, "symlink", refuse)
    folder = write_all(tmp_path, "yolo").files.folder
    for name in IMAGES:
        image = folder / "images" / name
        assert not image.is_symlink()
        assert image.read_bytes() == (tmp_path / "images" / name).read_bytes()
    image = folder / "images" / "a.jpg"
    before = image.stat().st_ino
    write_all(tmp_path, "yolo")  # a second time: the same image is not copied again
    assert image.stat().st_ino == before
    image.write_bytes(b"another")
    with pytest.raises(LabelingMismatchError, match="is not the image"):
        write_all(tmp_path, "yolo")


def test_voc_has_one_based_inclusive_corners(tmp_path):
    export = write_all(tmp_path, "voc")
    root = ET.parse(export.files.folder / "annotations" / "a.xml").getroot()
    assert root.findtext("source/annotation") == "nano 1a2b3c4d"
    assert [each.findtext("name") for each in root.iter("object")] == NAMES
    corners = [[int(value.text) for value in box] for box in root.iter("bndbox")]
    assert corners == [[5, 7, 20, 30], [31, 9, 64, 40]]
    assert (export.files.folder / "annotations" / "sub" / "c d.xml").is_file()


def test_cvat(tmp_path):
    export = write_all(tmp_path, "cvat")
    root = ET.parse(export.files.folder / "annotations.xml").getroot()
    read = [
        (image.get("name"), box.get("label"), box.find("attribute[@name='score']").text)
        for image in root.iter("image")
        for box in image.iter("box")
    ]
    assert read == [(name, NAMES[label], str(score)) for name, label, _, score in FOUND]
    assert len(list(root.iter("image"))) == len(IMAGES)
    labels = json.loads((export.files.folder / "cvat_labels.json").read_text())
    assert [each["name"] for each in labels] == NAMES


def test_labelme(tmp_path):
    export = write_all(tmp_path, "labelme")
    path = export.files.folder / "labelme" / "sub" / "c d.json"
    content = json.loads(path.read_text())
    assert (path.parent / content["imagePath"]).samefile(tmp_path / "images" / "sub" / "c d.jpg")
    (shape,) = content["shapes"]
    assert shape["label"] == "red star"
    assert shape["points"] == [[0, 0], [50, 50]]
    assert shape["score"] == 0.61


def test_label_studio(tmp_path):
    export = write_all(tmp_path, "labelstudio")
    tasks = json.loads((export.files.folder / "tasks.json").read_text())
    assert tasks[2]["data"]["image"] == "/data/local-files/?d=sub/c%20d.jpg"
    prediction = tasks[0]["predictions"][0]
    assert prediction["model_version"] == "nano 1a2b3c4d"
    assert prediction["score"] == 0.52
    value = prediction["result"][1]["value"]
    np.testing.assert_allclose(
        [value[key] for key in ("x", "y", "width", "height")],
        [100 * 30 / 64, 100 * 8 / 48, 100 * 34 / 64, 100 * 32 / 48],
    )
    config = ET.parse(export.files.folder / "labeling_config.xml").getroot()
    assert [each.get("value") for each in config.iter("Label")] == NAMES


def test_fiftyone(tmp_path):
    export = write_all(tmp_path, "fiftyone")
    content = json.loads((export.files.folder / "labels.json").read_text())
    assert content["classes"] == NAMES
    assert list(content["labels"]) == ["a", "b", "sub/c d"]
    (found,) = content["labels"]["sub/c d"]
    assert found["bounding_box"] == [0, 0, 1, 1]
    assert found["confidence"] == 0.61


def test_odvg(tmp_path):
    export = write_all(tmp_path, "odvg")
    records = [
        json.loads(line) for line in (export.files.folder / "odvg.jsonl").read_text().splitlines()
    ]
    for record in records:
        check_record(record)
    assert [len(each["detection"]["instances"]) for each in records] == [2, 0, 1]
    assert records[0]["detection"]["instances"][0]["score"] == 0.91
    assert list(read_label_map(export.files.folder / "label_map.json")) == NAMES


def test_every_format_writes_its_targets_and_no_others(tmp_path):
    export = write_all(tmp_path, *FORMATS)
    targets = {name for each in FORMATS for name in TARGETS[each]} | {"annotations.json"}
    assert {path.name for path in export.files.folder.iterdir()} == targets | {"detections.jsonl"}


def test_writing_again_changes_nothing_and_never_replaces_an_edited_file(tmp_path):
    export = write_all(tmp_path, *FORMATS)
    path = export.files.folder / "labels" / "a.txt"
    before = path.stat().st_mtime_ns
    for name in FORMATS:
        write_format(name, export)
    assert path.stat().st_mtime_ns == before
    path.write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(LabelingMismatchError, match="another content"):
        write_format("yolo", export)
    assert path.read_text() == "0 0.5 0.5 1 1\n"


@pytest.mark.parametrize("name", ["voc", "cvat", "labelstudio"])
def test_names_that_a_format_cannot_hold(tmp_path, name):
    export = make_export(tmp_path)
    with pytest.raises(DataError, match=f"format {name} is XML"):
        check_format(name, ["a\ufffeb"], export.images)
    check_format(name, NAMES, export.images)
    check_format("coco", ["a\ufffeb"], export.images)
