"""The command that checks and repairs annotation files in COCO's format."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
from PIL import Image

from glip.datasets import CocoDataset
from glip.evaluation import CocoMetric
from glip.utils.errors import AnnotationFileError, DataError
from tests.test_tools.commands import tool

TOOL = "misc/check_coco.py"
CLASSES = ("car", "cat")


def content(images=2):
    result = dict(
        images=[], annotations=[], categories=[dict(id=1, name="car"), dict(id=2, name="cat")]
    )
    for number in range(1, images + 1):
        result["images"].append(dict(id=number, file_name=f"{number}.jpg", width=100, height=60))
        for at, category in enumerate((1, 2)):
            box = [10 + 40 * at, 10, 30, 30]
            result["annotations"].append(
                dict(id=2 * number - 1 + at, image_id=number, category_id=category, bbox=box)
            )
    return result


def write(folder, data, name="export.json"):
    (folder / name).write_text(json.dumps(data))
    return folder / name


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for number in (1, 2):
        for name in (f"{number}.jpg", f"sub/{number}.png"):
            Image.fromarray(np.full((60, 100, 3), 90, np.uint8)).save(tmp_path / name)
    return tmp_path


def check(*args, fails=True):
    if not fails:
        return tool(TOOL).main([str(each) for each in args])
    with pytest.raises(SystemExit) as ended:
        tool(TOOL).main([str(each) for each in args])
    assert ended.value.code == 1
    return None


def boxes(path, folder):
    dataset = CocoDataset(
        str(path), metainfo=dict(classes=CLASSES), data_prefix=dict(img=str(folder))
    )
    infos = [dataset.get_data_info(at) for at in range(len(dataset))]
    return [(info["img_path"], info["height"], info["instances"]) for info in infos]


def average_precision(path):
    metric = CocoMetric()
    metric.dataset_meta = dict(classes=CLASSES, ann_file=str(path))
    for number in (1, 2):
        found = np.array([[10, 10, 40, 40], [50, 10, 80, 38]], float)
        instances = dict(bboxes=found, scores=np.array([0.9, 0.8]), labels=np.array([0, 1]))
        metric.process(None, [dict(img_id=number, pred_instances=instances)])
    return metric.evaluate(2)


def test_a_valid_file(folder, capsys):
    check(write(folder, content()), "--images", folder, fails=False)
    assert "problems: 0" in capsys.readouterr().out.splitlines()


def each(key, field, value):
    def change(data):
        for entry in data[key]:
            entry[field] = value(entry) if callable(value) else value

    return change


def one(field, value):
    def change(data):
        data["annotations"][1][field] = value

    return change


REPAIRABLE = {
    "text numbers": each("annotations", "bbox", lambda a: [str(v) for v in a["bbox"]]),
    "object": each(
        "annotations", "bbox", lambda a: dict(zip(("x", "y", "w", "h"), a["bbox"], strict=True))
    ),
    "text flags": each("annotations", "iscrowd", "0"),
    "ignore": each("annotations", "ignore", "false"),
    "text category ids": each("annotations", "category_id", lambda a: str(a["category_id"])),
    "text image ids": each("annotations", "image_id", lambda a: str(a["image_id"])),
    "text ids of categories": each("categories", "id", lambda a: str(a["id"])),
    "ids from 0": each("annotations", "id", lambda a: a["id"] - 1),
    "text ids": each("annotations", "id", lambda a: f"obj-{a['id']}"),
    "ids null": each("annotations", "id", None),
    "ids lists": each("annotations", "id", lambda a: [a["id"]]),
    "unknown sizes": each("images", "width", -1),
    "size wide": each("images", "width", "wide"),
    "size text": each("images", "width", "100.0"),
    "size huge": each("images", "height", 10**400),
    "backslashes": each("images", "file_name", lambda i: f"sub\\{i['id']}.png"),
    "drive": each("images", "file_name", lambda i: f"D:\\data\\{i['id']}.jpg"),
    "folder twice": each("images", "file_name", lambda i: f"images/{i['id']}.jpg"),
    "server": each("images", "file_name", lambda i: f"/data/upload/{i['id']}.jpg"),
    "one without box": one("bbox", None),
    "one with NaN": one("bbox", [1, math.nan, 3, 4]),
    "one huge": one("bbox", [10**400, 1, 3, 4]),
    "one with angle": one("bbox", [50, 10, 30, 30, 0]),
    "one backwards": one("bbox", [80, 40, -30, -30]),
    "one of no category": one("category_id", None),
    "one of a list": one("category_id", [1]),
    "one of another image": one("image_id", 77),
    "one with a flag": one("iscrowd", "maybe"),
    "one with an area": one("area", "x"),
    "one that is no object": lambda data: data["annotations"].append(5),
    "one twice": lambda data: data["annotations"].append(copy.deepcopy(data["annotations"][0])),
}


@pytest.mark.parametrize("change", REPAIRABLE.values(), ids=REPAIRABLE)
def test_repaired(folder, capsys, change):
    data = content()
    change(data)
    path, fixed = write(folder, data), folder / "fixed.json"
    check(path, "--images", folder, "--fix", fixed)
    printed = capsys.readouterr().out
    assert "decision" not in printed
    assert any(line.startswith(f"{path}, ") for line in printed.splitlines())
    check(fixed, "--images", folder, fails=False)
    assert boxes(fixed, folder) == boxes(path, folder)
    assert average_precision(fixed) == average_precision(path)


def test_places_and_counts(folder, capsys):
    data = content()
    one("bbox", None)(data)
    data["annotations"][3]["category_id"] = 99
    path = write(folder, data)
    check(path)
    printed = capsys.readouterr().out
    assert f"{path}, annotation 1 (id 2), without a box of four numbers: " in printed
    assert f"{path}, annotation 3 (id 4), of categories that are not in the file: " in printed
    assert "  1 x without a box of four numbers" in printed.splitlines()
    check(path, "--max-report", 1)
    assert "... and 1 more problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        each("annotations", "category_id", None),
        each("images", "id", None),
        each("images", "file_name", 5),
        each("annotations", "bbox", None),
        lambda data: data["annotations"].append(dict(data["annotations"][0], bbox=[1, 2, 3, 4])),
    ],
)
def test_a_decision_is_needed(folder, change):
    data = content()
    change(data)
    path = write(folder, data)
    check(path)
    with pytest.raises(DataError, match="cannot be repaired"):
        tool(TOOL).main([str(path), "--fix", str(folder / "fixed.json")])
    assert not (folder / "fixed.json").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, "1" * 5000, '{"images": {}}', "{} x", "\x1f\x8b00"]
)
def test_other_files(tmp_path, text):
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    with pytest.raises(AnnotationFileError) as caught:
        tool(TOOL).main([str(tmp_path / "a.json")])
    assert len(str(caught.value)) < 500


def test_sizes_of_images(folder, capsys):
    data = content()
    each("images", "width", 60)(data)
    each("images", "height", 100)(data)
    check(write(folder, data), "--images", folder)
    assert "2 x of another size than stated" in capsys.readouterr().out


def test_categories_of_one_name(folder, capsys):
    """Training and evaluation refuse them; a category without annotations does no harm."""
    data = content()
    data["categories"][1]["name"] = "car"
    check(write(folder, data))
    assert "category 1 (id 2), with the name of another one" in capsys.readouterr().out
    for annotation in data["annotations"]:
        annotation["category_id"] = 1
    check(write(folder, data), fails=False)


def test_no_categories(folder, capsys):
    check(write(folder, dict(content(), categories=[])), fails=False)
    assert (
        "boxes without categories in the file, not used in training: 4" in capsys.readouterr().out
    )
