"""Open Images' CSV files to lines."""

from __future__ import annotations

import pytest

from glip.utils.errors import USER_ERRORS
from tests.test_tools.converting import convert, draw, label_map

HEAD = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
ROWS = """\
000002b66c9c498e,xclick,/m/01g317,1,0.012500,0.250000,0.250000,0.500000,0,1,0,0,0
000002b66c9c498e,xclick,/m/01g317,1,0.5,1.0,0.5,1.0,0,1,1,0,0
000002b66c9c498f,activemil,/m/0284d,1,0.0,1.0,0.0,1.0,-1,-1,-1,-1,-1
000002b66c9c498e,xclick,/m/0284d,1,0.5,1.5,0.5,0.75,0,1,0,0,0
000002b66c9c498e,xclick,/m/none,1,0.5,1.0,0.5,0.75,0,1,0,0,0
000002b66c9c498e,xclick,/m/0284d,1,0.5,0.5,0.5,0.75,0,1,0,0,0
000002b66c9c498e,xclick,/m/0284d,1,x,0.5,0.5,0.75,0,1,0,0,0
000002b66c9c4990,xclick,/m/0284d,1,0.1,0.5,0.5,0.75,0,1,0,0,0
"""
NAMES = '/m/0284d,"Fruit, dried"\n/m/01g317,Person\n'


@pytest.fixture
def files(tmp_path):
    """The boxes, the arguments with the names, and images of two of the three."""
    (tmp_path / "boxes.csv").write_text(f"{HEAD}\n{ROWS}")
    (tmp_path / "names.csv").write_text(NAMES)
    draw(tmp_path / "train" / "000002b66c9c498e.jpg", 80, 40)
    draw(tmp_path / "train" / "000002b66c9c498f.jpg", 30, 20)
    return tmp_path / "boxes.csv", tmp_path / "o.jsonl", "--names", tmp_path / "names.csv"


def test_lines(files, tmp_path, capsys):
    lines = convert("openimages2odvg", *files, "--img-root", tmp_path / "train")
    assert label_map(tmp_path / "o.jsonl") == {"0": "Fruit, dried", "1": "Person"}
    assert lines == [
        dict(
            filename="000002b66c9c498e.jpg",
            height=40,
            width=80,
            img_id="000002b66c9c498e",
            detection=dict(
                instances=[
                    dict(bbox=[1, 10, 20, 20], label=1, category="Person"),
                    dict(bbox=[40, 20, 80, 30], label=0, category="Fruit, dried"),
                ]
            ),
        ),
        dict(
            filename="000002b66c9c498f.jpg",
            height=20,
            width=30,
            img_id="000002b66c9c498f",
            detection=dict(instances=[dict(bbox=[0, 0, 30, 20], label=0, category="Fruit, dried")]),
        ),
    ]
    printed = capsys.readouterr().out
    assert "2 images, 3 boxes" in printed
    for reason in (
        "1 box around a group",
        "1 box of classes without a name (/m/none)",
        "1 box without area",
        "1 box without four numbers",
        "1 image not in --img-root (000002b66c9c4990.jpg)",
    ):
        assert reason in printed


def test_groups(files, tmp_path):
    lines = convert("openimages2odvg", *files, "--keep-groups", "--img-root", tmp_path / "train")
    assert [40, 20, 80, 40] in [each["bbox"] for each in lines[0]["detection"]["instances"]]


def test_sizes_from_a_file(files, tmp_path, capsys):
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("ImageID,Width,Height\n000002b66c9c498e,800,400\n000002b66c9c4990,10,10\n")
    lines = convert("openimages2odvg", *files, "--sizes", sizes)
    assert [(line["width"], line["height"]) for line in lines] == [(800, 400), (10, 10)]
    assert "1 image not in --sizes" in capsys.readouterr().out
    sizes.write_text("ImageID,Width,Height\n000002b66c9c498e,big,400\n")
    with pytest.raises(USER_ERRORS, match="expected an image and its size"):
        convert("openimages2odvg", *files, "--sizes", sizes, "--overwrite")


def test_names_of_version_7_have_a_head(files, tmp_path):
    (tmp_path / "names.csv").write_text("LabelName,DisplayName\n" + NAMES)
    convert("openimages2odvg", *files, "--img-root", tmp_path / "train")
    assert label_map(tmp_path / "o.jsonl")["0"] == "Fruit, dried"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("boxes.csv", ROWS, "no column 'ImageID'"),
        ("boxes.csv", "", "no column 'ImageID'"),
        ("boxes.csv", HEAD, "nothing of .* can be used: it is empty"),
        ("names.csv", "/m/0284d\n", "expected a code and a name"),
        ("names.csv", "/m/0284d,a\n/m/01g317,a\n", "'a' is the name of the labels"),
    ],
)
def test_files_that_are_wrong(files, tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(USER_ERRORS, match=message):
        convert("openimages2odvg", *files, "--img-root", tmp_path / "train")
    assert not (tmp_path / "o.jsonl").exists()


def test_sizes_are_needed(files):
    with pytest.raises(USER_ERRORS, match="give the image folder, --img-root, or --sizes"):
        convert("openimages2odvg", *files)
