"""The command that writes few-shot subsets."""

from __future__ import annotations

import json

import pytest

from glip.datasets import CocoDataset
from glip.datasets.few_shot import SEEDS, SHOTS
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool

TOOL = "dataset_converters/few_shot.py"


@pytest.fixture
def ann_file(tmp_path):
    images = [dict(id=key, file_name=f"{key}.jpg", width=50, height=40) for key in (4, 2, 3, 1)]
    boxes = [(1, 5), (1, 6), (2, 5), (2, 5), (3, 6), (4, 5)]
    annotations = [
        dict(id=at, image_id=image, category_id=category, bbox=[0, 0, 9, 9], area=81, iscrowd=0)
        for at, (image, category) in enumerate(boxes)
    ]
    annotations.append(dict(id=99, image_id=3, category_id=6, bbox=[0, 0, 9]))
    categories = [dict(id=key, name=name) for key, name in ((5, "cup"), (6, "pan"), (7, "jar"))]
    path = tmp_path / "train.json"
    path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return path


def test_subset(ann_file, capsys):
    tool(TOOL).main([str(ann_file), "--shots", "2", "--seeds", "0"])
    path = ann_file.with_name("train_shot2_seed0.json")
    content = json.loads(path.read_text())
    # 1: cup and pan, 2: the second cup, 3: the second pan; 4 shows a third cup.
    assert [image["id"] for image in content["images"]] == [2, 3, 1]
    assert [each["id"] for each in content["annotations"]] == [2, 3, 4, 0, 1]
    assert len(content["categories"]) == 3
    printed = capsys.readouterr().out
    assert f"{path}: 3 images, 5 boxes" in printed
    assert "no image shows: jar" in printed
    dataset = CocoDataset(str(path), metainfo=dict(classes=("cup", "pan", "jar")))
    assert len(dataset) == 3


def test_all_of_the_paper(ann_file, tmp_path):
    tool(TOOL).main([str(ann_file), "--out-dir", str(tmp_path / "few")])
    assert {path.name for path in (tmp_path / "few").iterdir()} == {
        f"train_shot{shots}_seed{seed}.json" for shots in (1, 3, 5, 10) for seed in (3, 30, 300)
    }


def test_nothing_to_choose(ann_file):
    content = json.loads(ann_file.read_text())
    content["annotations"] = []
    ann_file.write_text(json.dumps(content))
    with pytest.raises(USER_ERRORS, match="no image with a box larger than one pixel"):
        tool(TOOL).main([str(ann_file)])


def test_no_file(tmp_path):
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        tool(TOOL).main([str(tmp_path / "none.json")])


def test_help_has_the_defaults():
    text = " ".join(tool(TOOL).build_parser().format_help().split())
    for values in (SHOTS, SEEDS):
        assert f"default: {' '.join(map(str, values))}" in text


def test_image_ids_of_two_types(ann_file):
    content = json.loads(ann_file.read_text())
    content["images"][0]["id"] = "four"
    content["annotations"][5]["image_id"] = "four"
    ann_file.write_text(json.dumps(content))
    tool(TOOL).main([str(ann_file), "--shots", "3", "--seeds", "0"])
    chosen = json.loads(ann_file.with_name("train_shot3_seed0.json").read_text())
    assert [image["id"] for image in chosen["images"]] == ["four", 2, 3, 1]
