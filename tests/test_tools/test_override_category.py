"""Other names for the categories of three data sets of ODinW."""

from __future__ import annotations

import json

import pytest

from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import command, tool

TOOL = "dataset_converters/override_category.py"
FILE = "annotations_without_background.json"


def content(ids, used) -> dict:
    """An annotation file with categories of these ids."""
    return dict(
        images=[dict(id=0, file_name="0.jpg")],
        annotations=[dict(id=at, image_id=0, category_id=number) for at, number in enumerate(used)],
        categories=[dict(id=number, name=f"old {number}", supercategory="s") for number in ids],
    )


@pytest.fixture
def odinw(tmp_path):
    for folder, ids, used in (
        ("ChessPieces/Chess Pieces.v23-raw.coco", range(1, 14), [2, 13]),
        ("CottontailRabbits", [1], [1]),
        ("NorthAmericaMushrooms/North American Mushrooms.v1-416x416.coco", [1, 2], [2]),
    ):
        path = tmp_path / folder / "valid" / FILE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content(ids, used)))
    return tmp_path


def test_command(odinw):
    before = {path: path.read_bytes() for path in odinw.rglob(FILE)}
    printed = command(f"tools/{TOOL}", odinw)
    assert printed.count("wrote") == 3
    assert before == {path: path.read_bytes() for path in odinw.rglob(FILE)}
    names = {}
    for path in odinw.rglob(f"new_{FILE}"):
        old, new = json.loads(path.with_name(FILE).read_text()), json.loads(path.read_text())
        assert [each["id"] for each in new["categories"]] == [
            each["id"] for each in old["categories"]
        ]
        assert all(each["supercategory"] == "s" for each in new["categories"])
        names[path.relative_to(odinw).parts[0]] = [each["name"] for each in new["categories"]]
        assert {**new, "categories": 0} == {**old, "categories": 0}
    assert names["CottontailRabbits"] == ["rabbit"]
    assert names["NorthAmericaMushrooms"] == ["flat mushroom", "yellow mushroom"]
    assert names["ChessPieces"][:2] == ["  ", "black bishop"]
    assert len(names["ChessPieces"]) == 13


def test_absent_ones_are_left_out(odinw, capsys):
    (odinw / "CottontailRabbits" / "valid" / FILE).unlink()
    tool(TOOL).main([str(odinw)])
    printed = capsys.readouterr().out
    assert printed.count("wrote") == 2
    assert "missing: " in printed


def test_none_is_there(tmp_path):
    with pytest.raises(USER_ERRORS, match="none of the files to rename exists"):
        tool(TOOL).main([str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(content([0, 1], [0, 1])), r"annotations of the categories \[0\]"),
        ("[]", "is not an annotation file in COCO format"),
        ("{", "is not an annotation file in COCO format"),
    ],
)
def test_another_file(odinw, text, message):
    (odinw / "CottontailRabbits" / "valid" / FILE).write_text(text)
    with pytest.raises(USER_ERRORS, match=message):
        tool(TOOL).main([str(odinw)])
