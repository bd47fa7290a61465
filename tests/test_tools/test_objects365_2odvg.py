"""Objects365's two versions to lines: paths, names, missing images."""

from __future__ import annotations

import pytest

from glip.converters.objects365 import NAME_FIXES
from tests.test_tools.converting import convert, label_map, write_json

#: Names as the annotations of version 2 have them, with those of a slip, and what they should be.
V2 = {
    "Person": "Person",
    "Moniter/TV": "Monitor/TV",
    "Bakset": "Basket",
    "Ballon": "Balloon",
    "Cigar/Cigarette ": "Cigar/Cigarette",
    "Tape Measur/ Ruler": "Tape Measure/ Ruler",
    "Table Teniis paddle": "Table Tennis paddle",
}


def version2():
    names = (
        "images/v1/patch8/objects365_v1_00420917.jpg",
        "images/v2/patch16/objects365_v2_00908726.jpg",
        "images/v2/patch16/objects365_v2_00908727.jpg",
    )
    return dict(
        images=[
            dict(height=512, id=key, license=5, width=769, file_name=name, url="")
            for key, name in enumerate(names)
        ],
        annotations=[
            dict(
                id=key,
                iscrowd=int(key == 3),
                isfake=0,
                isreflected=0,
                bbox=[10.5, 20.25, 100.123456789, 50.0],
                image_id=0,
                category_id=key,
            )
            for key in range(1, 5)
        ],
        categories=[dict(name=name, id=key) for key, name in enumerate(V2, 1)],
        licenses=[dict(name="CC", id=5, url="")],
    )


def test_version2(tmp_path, capsys):
    out = tmp_path / "train.jsonl"
    lines = convert("objects365_2odvg", write_json(tmp_path / "a.json", version2()), out)
    assert [line["filename"] for line in lines] == [
        "patch8/objects365_v1_00420917.jpg",
        "patch16/objects365_v2_00908727.jpg",
    ]
    assert list(label_map(out).values()) == list(V2.values())
    assert lines[0]["detection"]["instances"][1] == dict(
        bbox=[10.5, 20.25, 110.623, 70.25], label=1, category="Monitor/TV"
    )
    printed = capsys.readouterr().out
    assert "1 box of a crowd" in printed
    assert "1 image that the data set lacks (patch16/objects365_v2_00908726.jpg)" in printed


def test_names_as_they_are(tmp_path):
    out = tmp_path / "train.jsonl"
    path = write_json(tmp_path / "a.json", version2())
    convert("objects365_2odvg", path, out, "--keep-names")
    assert list(label_map(out).values()) == list(V2)


def test_version1(tmp_path):
    content = dict(
        images=[dict(width=480, height=640, file_name="obj365_train_000000255476.jpg", id=255476)],
        annotations=[
            dict(category_id=301, bbox=[1, 2, 3, 4], iscrowd=0, area=12, image_id=255476, id=0)
        ],
        categories=[dict(id=301, name="hotair balloon"), dict(id=4, name="tissue ")],
    )
    out = tmp_path / "train.jsonl"
    lines = convert("objects365_2odvg", write_json(tmp_path / "a.json", content), out)
    assert lines[0]["filename"] == "obj365_train_000000255476.jpg"
    assert label_map(out) == {"0": "tissue", "1": "hot air balloon"}


@pytest.mark.parametrize(("wrong", "right"), NAME_FIXES.items())
def test_fixes_end(wrong, right):
    """What a name is corrected to is not itself corrected, and is another name."""
    assert right not in NAME_FIXES
    assert right != wrong
