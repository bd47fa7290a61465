"""Labels read back by the tools that they are for; .ci/peers runs these in its own environment."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from glip.labeling.formats.export import write_format
from tests.test_labeling.exported import IMAGES, NAMES, make_export

#: The images beside each other, as supervision expects them.
FLAT = {name: content for name, content in IMAGES.items() if "/" not in name}


def export_of(folder, name):
    export = make_export(folder)
    if (folder / "images" / "sub").is_dir():  # tools that do not search subfolders
        records = [
            line
            for line in export.files.detections.read_text().splitlines()
            if json.loads(line)["file_name"] in FLAT
        ]
        export.files.detections.write_text("".join(line + "\n" for line in records))
    write_format(name, export)
    return export.files.folder


@pytest.mark.supervision
@pytest.mark.parametrize("name", ["coco", "yolo", "voc", "labelme"])
def test_supervision(tmp_path, name):
    supervision = pytest.importorskip("supervision")
    out = export_of(tmp_path, name)
    images = str(tmp_path / "images")
    if name == "coco":
        read = supervision.DetectionDataset.from_coco(images, str(out / "annotations.json"))
    elif name == "yolo":
        read = supervision.DetectionDataset.from_yolo(
            str(out / "images"), str(out / "labels"), str(out / "data.yaml")
        )
    elif name == "voc":
        read = supervision.DetectionDataset.from_pascal_voc(images, str(out / "annotations"))
    else:
        read = supervision.DetectionDataset.from_labelme(images, str(out / "labelme"))
    assert set(read.classes) == set(NAMES)
    found = {path.rpartition("/")[2]: detections for path, _, detections in read}
    for file_name, (_, expected) in FLAT.items():
        own = found[file_name]
        names = [read.classes[each] for each in own.class_id]
        assert names == [NAMES[label] for _, label, _ in expected]
        if expected:
            boxes = [box for box, _, _ in expected]
            np.testing.assert_allclose(own.xyxy, boxes, atol=0.51 if name == "voc" else 0.01)


@pytest.mark.label_studio
def test_label_studio(tmp_path):
    pytest.importorskip("label_studio_sdk")
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.label_interface import LabelInterface

    out = export_of(tmp_path, "labelstudio")
    config = (out / "labeling_config.xml").read_text()
    interface = LabelInterface(config)
    interface.validate()
    tasks = json.loads((out / "tasks.json").read_text())
    for number, task in enumerate(tasks, start=1):
        assert interface.validate_prediction(task["predictions"][0])
        # The converter exports annotations: a person who accepts the predictions makes them.
        result = task["predictions"][0]["result"]
        task.update(id=number, annotations=[dict(id=number, result=result)])
    (tmp_path / "accepted.json").write_text(json.dumps(tasks))
    converter = Converter(config, str(tmp_path), download_resources=False)
    converter.convert_to_coco(str(tmp_path / "accepted.json"), str(tmp_path / "coco"), is_dir=False)
    read = json.loads((tmp_path / "coco" / "result.json").read_text())
    names = {each["id"]: each["name"] for each in read["categories"]}
    expected = [found for _, each in FLAT.values() for found in each]
    assert [names[each["category_id"]] for each in read["annotations"]] == [
        NAMES[label] for _, label, _ in expected
    ]
    for each, (box, _, _) in zip(read["annotations"], expected, strict=True):
        x, y, width, height = each["bbox"]
        np.testing.assert_allclose([x, y, x + width, y + height], box, atol=0.01)


@pytest.mark.cvat
def test_cvat(tmp_path):
    """CVAT reads the file with datumaro; the SDK describes the labels of a task."""
    cvat_models = pytest.importorskip("cvat_sdk.models")
    datumaro = pytest.importorskip("datumaro")
    out = export_of(tmp_path, "cvat")
    for label in json.loads((out / "cvat_labels.json").read_text()):
        request = cvat_models.PatchedLabelRequest(**label)
        assert request.name == label["name"]
        assert request.attributes[0]["name"] == "score"
    alone = tmp_path / "alone"
    shutil.copytree(tmp_path / "images", alone / "images")
    (alone / "annotations.xml").write_bytes((out / "annotations.xml").read_bytes())
    read = datumaro.Dataset.import_from(str(alone), "cvat")
    labels = read.categories()[datumaro.AnnotationType.label]
    assert [each.name for each in labels] == NAMES
    found = {item.id: item.annotations for item in read}
    for file_name, (_, expected) in FLAT.items():
        own = found[file_name.rpartition(".")[0]]
        assert [each.label for each in own] == [label for _, label, _ in expected]
        for each, (box, _, score) in zip(own, expected, strict=True):
            np.testing.assert_allclose(each.points, box, atol=0.01)
            assert float(each.attributes["score"]) == score
