"""The images of LVIS val that are also in COCO val2017."""

from __future__ import annotations

import json

import pytest

from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool

TOOL = "dataset_converters/lvis_minival.py"
URL = "http://images.cocodataset.org"


@pytest.fixture
def lvis(tmp_path):
    """Three images, of which the first two are in val2017, with two boxes each."""
    splits = {1: "val2017", 2: "val2017", 3: "train2017"}
    content = dict(
        info=dict(version="v1.0"),
        images=[
            dict(id=number, coco_url=f"{URL}/{split}/{number:012}.jpg", neg_category_ids=[7])
            for number, split in splits.items()
        ],
        annotations=[
            dict(id=at, image_id=at // 2 + 1, category_id=5, bbox=[0, 0, 9, 9]) for at in range(6)
        ],
        categories=[dict(id=5, name="cup"), dict(id=7, name="pan")],
    )
    path = tmp_path / "lvis_v1_val.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "ids"),
    [("coco.json", json.dumps(dict(images=[dict(id=2), dict(id=1)]))), ("ids.txt", "1\n2\n99\n")],
)
def test_subset(lvis, tmp_path, capsys, name, ids):
    (tmp_path / name).write_text(ids)
    out = tmp_path / "new" / "minival.json"
    tool(TOOL).main([str(lvis), str(tmp_path / name), str(out)])
    whole, subset = json.loads(lvis.read_text()), json.loads(out.read_text())
    assert [each["file_name"] for each in subset["images"]] == [
        "val2017/000000000001.jpg",
        "val2017/000000000002.jpg",
    ]
    assert subset["images"][0]["neg_category_ids"] == [7]
    assert subset["annotations"] == whole["annotations"][:4]
    assert {**subset, "images": 0, "annotations": 0} == {**whole, "images": 0, "annotations": 0}
    printed = capsys.readouterr().out
    assert "images: 2 of 3\nannotations: 4 of 6\ncategories: 2 of 2" in printed


@pytest.mark.parametrize(
    ("ids", "message"), [("8\n", "none of the 3 images"), ("one\n", "is not a list of image ids")]
)
def test_errors(lvis, tmp_path, ids, message):
    (tmp_path / "ids.txt").write_text(ids)
    with pytest.raises(USER_ERRORS, match=message):
        tool(TOOL).main([str(lvis), str(tmp_path / "ids.txt"), str(tmp_path / "out.json")])
    assert not (tmp_path / "out.json").exists()
