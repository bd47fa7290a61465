"""COCO's format to lines, and what all converters of it share."""

from __future__ import annotations

import json
import random

import pytest
from PIL import Image
from pycocotools.coco import COCO

from glip.datasets import CocoDataset, ODVGDataset
from glip.datasets.annotation_file import read_annotation_file
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import command
from tests.test_tools.converting import convert, draw, label_map, read_lines, write_json

NAMES = {90: "traffic light", 5: "dog", 18: "cat"}


def content():
    """Two images and an empty one; ids of categories in no order and with gaps."""
    images = [
        dict(id=30, file_name="000000000030.jpg", height=40, width=60),
        dict(id=7, file_name="b.jpg", height=50, width=50),
        dict(id=9, file_name="c.jpg", height=50, width=50),
    ]
    boxes = [
        (1, 30, 5, [1.5, 2, 10.25, 20], 0),
        (2, 30, 90, [50, 30, 30, 30], 0),  # reaches over the border
        (3, 7, 18, [40, 40, 10, 10], 1),  # a crowd
        (4, 7, 18, [60, 10, 5, 5], 0),  # outside
        (5, 7, 18, [10, 10, 0, 5], 0),  # no area
        (6, 7, 18, [10, 10, 5], 0),
        (7, 7, 77, [10, 10, 5, 5], 0),  # no such category
        (8, 99, 5, [10, 10, 5, 5], 0),  # no such image
        (9, 30, 5, [1.5, 2, 10.25, 20], 0),  # the first again
        (10, 7, None, [10, 10, 5, 5], 0),
        (11, 7, 5, [10, float("nan"), 5, 5], 0),
        (12, 7, 5, [0, 0, 50, 50], 0),
    ]
    annotations = [
        dict(id=key, image_id=image, category_id=category, bbox=box, iscrowd=crowd)
        for key, image, category, box, crowd in boxes
    ]
    categories = [dict(id=key, name=name) for key, name in NAMES.items()]
    return dict(info={}, images=images, annotations=annotations, categories=categories)


def test_lines(tmp_path, capsys):
    out = tmp_path / "odvg" / "train.jsonl"
    lines = convert("coco2odvg", write_json(tmp_path / "a.json", content()), out)
    assert label_map(out) == {"0": "dog", "1": "cat", "2": "traffic light"}
    assert lines == [
        dict(
            filename="000000000030.jpg",
            height=40,
            width=60,
            img_id=30,
            detection=dict(
                instances=[
                    dict(bbox=[1.5, 2, 11.75, 22], label=0, category="dog"),
                    dict(bbox=[50, 30, 60, 40], label=2, category="traffic light"),
                ]
            ),
        ),
        dict(
            filename="b.jpg",
            height=50,
            width=50,
            img_id=7,
            detection=dict(instances=[dict(bbox=[0, 0, 50, 50], label=0, category="dog")]),
        ),
        dict(filename="c.jpg", height=50, width=50, img_id=9, detection=dict(instances=[])),
    ]
    printed = capsys.readouterr().out
    assert f"{out}: 3 images, 1 empty image, 3 boxes" in printed
    for reason in (
        "1 box of a crowd (id 3)",
        "1 box without area (id 5)",
        "1 box without a box of four numbers (id 6)",
        "1 box without a category (id 10)",
        "1 box with a box that is not finite (id 11)",
        "1 box of images not in the file (image 99)",
        "1 box found twice (000000000030.jpg)",
        "1 box outside the image (b.jpg)",
        "1 box of categories not in the file (id 77)",
    ):
        assert reason in printed
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "train.jsonl",
        "train_label_map.json",
    ]


def test_the_same_boxes_as_pycocotools(tmp_path):
    """Any clean file: every box, category and image of pycocotools, and no other."""
    draw_number = random.Random(0)
    images = [
        dict(id=key, file_name=f"{key}.jpg", height=480, width=640)
        for key in draw_number.sample(range(1000), 40)
    ]
    annotations = []
    for at in range(500):
        left, top = draw_number.uniform(0, 600), draw_number.uniform(0, 440)
        size = [draw_number.uniform(1, 640 - left), draw_number.uniform(1, 480 - top)]
        annotations.append(
            dict(
                id=at,
                image_id=draw_number.choice(images)["id"],
                category_id=draw_number.choice(list(NAMES)),
                bbox=[left, top, *size],
                iscrowd=0,
            )
        )
    categories = [dict(id=key, name=name) for key, name in NAMES.items()]
    path = write_json(
        tmp_path / "a.json", dict(images=images, annotations=annotations, categories=categories)
    )
    lines = convert("coco2odvg", path, tmp_path / "a.jsonl")
    coco = COCO(str(path))
    assert [line["img_id"] for line in lines] == list(coco.imgs)
    for line in lines:
        expected = coco.loadAnns(coco.getAnnIds(line["img_id"]))
        found = line["detection"]["instances"]
        assert [each["category"] for each in found] == [NAMES[a["category_id"]] for a in expected]
        for each, annotation in zip(found, expected, strict=True):
            left, top, right, bottom = each["bbox"]
            assert [left, top, right - left, bottom - top] == pytest.approx(
                annotation["bbox"], abs=0.002
            )
    classes = tuple(label_map(tmp_path / "a.jsonl").values())
    dataset = CocoDataset(str(path), metainfo=dict(classes=classes))
    for index, line in enumerate(lines):
        labels = [each["label"] for each in line["detection"]["instances"]]
        assert labels == dataset.get_cat_ids(index)


def test_the_lines_can_be_trained_on(tmp_path):
    out = tmp_path / "train.jsonl"
    convert("coco2odvg", write_json(tmp_path / "a.json", content()), out)
    names = out.with_name("train_label_map.json")
    command("tools/misc/check_odvg.py", out, "--label-map", names)  # exits with 1 for a bad line
    dataset = ODVGDataset("train.jsonl", data_root=str(tmp_path), label_map_file=names.name)
    assert dataset.metainfo["classes"] == ("dog", "cat", "traffic light")
    assert [dataset.get_cat_ids(index) for index in range(len(dataset))] == [[0, 2], [0], []]


@pytest.mark.parametrize("order", [1, -1])
def test_any_order_of_the_lists(tmp_path, order):
    shuffled = dict(list(content().items())[::order])
    lines = convert("coco2odvg", write_json(tmp_path / "a.json", shuffled), tmp_path / "a.jsonl")
    assert [len(line["detection"]["instances"]) for line in lines] == [2, 1, 0]


def test_images_left_out(tmp_path, capsys):
    path = write_json(tmp_path / "a.json", content())
    out = tmp_path / "a.jsonl"
    lines = convert("coco2odvg", path, out, "--exclude-coco")
    assert [line["filename"] for line in lines] == ["b.jpg", "c.jpg"]
    assert "1 image of COCO (000000000030.jpg)" in capsys.readouterr().out
    val = dict(images=[dict(id=1, file_name="COCO_val2014_000000000030.jpg")])
    other = write_json(tmp_path / "val.json", val)
    (tmp_path / "names.txt").write_text("some/folder/c.jpg\n\n999\n")
    lines = convert(
        *("coco2odvg", path, out, "--overwrite", "--exclude-images"),
        *(other, tmp_path / "names.txt"),
    )
    assert [line["filename"] for line in lines] == ["b.jpg"]
    (tmp_path / "ids.txt").write_text("30\n")
    lines = convert("coco2odvg", path, out, "--overwrite", "--exclude-images", tmp_path / "ids.txt")
    assert [line["filename"] for line in lines] == ["b.jpg", "c.jpg"]


def test_folder_of_the_images(tmp_path, capsys):
    """Images that are not there are left out, and sizes that are not stated are read, upright."""
    data = content()
    for image in data["images"]:
        del image["height"], image["width"]
    path = write_json(tmp_path / "a.json", data)
    with pytest.raises(USER_ERRORS, match=r"of unknown size"):
        convert("coco2odvg", path, tmp_path / "a.jsonl")
    draw(tmp_path / "images" / "000000000030.jpg", 60, 40)
    turned = Image.Exif()
    turned[0x0112] = 6
    draw(tmp_path / "images" / "b.jpg", 50, 45, exif=turned)
    lines = convert("coco2odvg", path, tmp_path / "a.jsonl", "--img-root", tmp_path / "images")
    assert [(line["height"], line["width"]) for line in lines] == [(40, 60), (50, 45)]
    assert "1 image not in --img-root (c.jpg)" in capsys.readouterr().out
    (tmp_path / "images" / "c.jpg").write_bytes(b"no picture")
    convert(*("coco2odvg", path, tmp_path / "b.jsonl"), *("--img-root", tmp_path / "images"))
    assert "1 image not readable (c.jpg)" in capsys.readouterr().out


def test_nothing_is_written_over(tmp_path):
    path = write_json(tmp_path / "a.json", content())
    out = tmp_path / "a.jsonl"
    convert("coco2odvg", path, out)
    before = out.read_bytes()
    with pytest.raises(USER_ERRORS, match="exists already"):
        convert("coco2odvg", path, out)
    other = content()
    other["categories"][0]["name"] = "lamp"
    write_json(path, other)
    out.unlink()
    with pytest.raises(USER_ERRORS, match="has other names"):
        convert("coco2odvg", path, out)
    convert("coco2odvg", path, out, "--overwrite")
    assert out.read_bytes() == before.replace(b"traffic light", b"lamp")


def spoil(key, value):
    return lambda data: {**data, key: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: json.dumps(data)[:-200], "not valid JSON"),
        (lambda data: json.dumps(data) + "]", "not valid JSON .* the end of the file"),
        (lambda data: json.dumps(data).replace(",", "", 1), "not valid JSON"),
        (lambda data: data["images"], "another format: expected an object with"),
        (spoil("annotations", {}), "'annotations' as a list, got an object"),
        (lambda data: {key: data[key] for key in ("images", "annotations")}, "no 'categories'"),
        (spoil("categories", []), "has no categories"),
        (spoil("categories", [dict(id=1)]), "a category without 'id' and 'name'"),
        (spoil("categories", [dict(id=1, name="a"), dict(id=2, name="a")]), "'a' is the name"),
        (spoil("annotations", [3]), "has 3 among its 'annotations'"),
        (
            spoil("images", [dict(id=1, file_name=name, width=9, height=9) for name in "ab"]),
            "two different images with the id 1",
        ),
        (spoil("images", [dict(id=1), 5, dict(file_name="a")]), "without a file name .*2 images"),
        (spoil("images", []), "nothing of .* can be used"),
        (lambda data: "", "got nothing"),
    ],
)
def test_files_that_are_wrong(tmp_path, change, message):
    path = tmp_path / "a.json"
    changed = change(content())
    path.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(USER_ERRORS, match=message):
        convert("coco2odvg", path, tmp_path / "a.jsonl")
    assert not (tmp_path / "a.jsonl").exists()


def test_missing_inputs(tmp_path):
    path = write_json(tmp_path / "a.json", content())
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        convert("coco2odvg", tmp_path / "none.json", tmp_path / "a.jsonl")
    with pytest.raises(USER_ERRORS, match="there is no folder"):
        convert("coco2odvg", path, tmp_path / "a.jsonl", "--img-root", tmp_path / "none")
    with pytest.raises(USER_ERRORS, match="there is no annotation file"):
        convert("coco2odvg", path, tmp_path / "a.jsonl", "--exclude-images", tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(USER_ERRORS, match="names no image to exclude"):
        convert(
            *("coco2odvg", path, tmp_path / "a.jsonl"),
            *("--exclude-images", tmp_path / "empty.txt"),
        )


def test_the_command(tmp_path):
    path = write_json(tmp_path / "a.json", content())
    program = "tools/dataset_converters/coco2odvg.py"
    command(program, path, tmp_path / "a.jsonl")
    assert len(read_lines(tmp_path / "a.jsonl")) == 3
    printed = command(program, path, tmp_path / "a.jsonl", fails=True)
    assert printed.strip().splitlines()[-1].startswith("error: '")
    assert "Traceback" not in printed


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(tmp_path, encoding):
    """The converters read what the data sets read."""
    (tmp_path / "a.json").write_bytes(json.dumps(content(), ensure_ascii=False).encode(encoding))
    write_json(tmp_path / "b.json", content())
    for name in "ab":
        convert("coco2odvg", tmp_path / f"{name}.json", tmp_path / f"{name}.jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert read_annotation_file(str(tmp_path / "a.json")).num_annotations == 12


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift-jis"])
def test_other_encodings(tmp_path, encoding):
    text = json.dumps(spoil("info", "\u00a7\u00b6" * 9)(content()), ensure_ascii=False)
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    for read in (
        lambda path: convert("coco2odvg", path, tmp_path / "a.jsonl"),
        lambda path: read_annotation_file(str(path)),
    ):
        with pytest.raises(USER_ERRORS, match="is not in UTF-8"):
            read(tmp_path / "a.json")


def test_ids_of_two_types(tmp_path, capsys):
    """Numbers come before texts; an annotation may write an id as the other type."""
    data = content()
    data["categories"] = [dict(id=key, name=f"{key}") for key in ("b", 5, "18", 90)]
    data["images"][1]["id"] = "7"
    write_json(tmp_path / "a.json", data)
    convert("coco2odvg", tmp_path / "a.json", tmp_path / "a.jsonl")
    assert label_map(tmp_path / "a.jsonl") == {"0": "5", "1": "90", "2": "18", "3": "b"}
    assert "images not in the file (image 99)" in capsys.readouterr().out
    assert len(read_lines(tmp_path / "a.jsonl")[1]["detection"]["instances"]) == 1


def test_a_long_name(tmp_path):
    data = spoil("categories", [dict(id=key, name="c" * 5000) for key in (5, 18)])(content())
    write_json(tmp_path / "a.json", data)
    with pytest.raises(USER_ERRORS) as caught:
        convert("coco2odvg", tmp_path / "a.json", tmp_path / "a.jsonl")
    assert len(str(caught.value)) < 400
