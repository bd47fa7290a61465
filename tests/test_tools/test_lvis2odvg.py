"""LVIS v1 to lines: no file_name, and federated annotations."""

from __future__ import annotations

import pytest

from glip.text import load_vocabulary
from glip.utils.errors import USER_ERRORS
from tests.test_tools.converting import convert, label_map, write_json

URL = "http://images.cocodataset.org"


@pytest.fixture
def lvis():
    """An image of train2017 and one of val2017; all 1203 categories."""
    names = load_vocabulary("lvis")
    categories = [
        dict(id=key, name=name, frequency="f", synset=f"{name}.n.01", image_count=1)
        for key, name in enumerate(names, 1)
    ]
    images = [
        dict(
            id=key,
            coco_url=f"{URL}/{split}/{key:012}.jpg",
            height=48,
            width=64,
            neg_category_ids=[key],
            not_exhaustive_category_ids=[],
        )
        for key, split in ((391895, "train2017"), (397133, "val2017"))
    ]
    annotations = [
        dict(id=1, image_id=391895, category_id=1203, bbox=[1, 2, 3, 4], area=9, segmentation=[])
    ]
    return dict(images=images, annotations=annotations, categories=categories)


def test_lines(lvis, tmp_path):
    out = tmp_path / "lvis.jsonl"
    lines = convert("lvis2odvg", write_json(tmp_path / "a.json", lvis), out)
    assert tuple(label_map(out).values()) == load_vocabulary("lvis")
    assert [line["filename"] for line in lines] == [
        "train2017/000000391895.jpg",
        "val2017/000000397133.jpg",
    ]
    assert lines[0]["detection"]["instances"] == [
        dict(bbox=[1, 2, 4, 6], label=1202, category=load_vocabulary("lvis")[1202])
    ]
    assert lines[1]["neg_category_ids"] == [397133]
    assert lines[1]["not_exhaustive_category_ids"] == []


def test_without_the_minival(lvis, tmp_path):
    minival = dict(images=[lvis["images"][1]])
    lines = convert(
        *("lvis2odvg", write_json(tmp_path / "a.json", lvis), tmp_path / "lvis.jsonl"),
        *("--exclude-images", write_json(tmp_path / "minival.json", minival)),
    )
    assert [line["img_id"] for line in lines] == [391895]


def test_file_names_of_copies(lvis, tmp_path):
    for image in lvis["images"]:
        del image["coco_url"]
    path = write_json(tmp_path / "a.json", lvis)
    with pytest.raises(USER_ERRORS, match="2 images without a file name"):
        convert("lvis2odvg", path, tmp_path / "a.jsonl")
    lvis["images"][0]["file_name"] = "x.jpg"
    write_json(path, lvis)
    assert [line["filename"] for line in convert("lvis2odvg", path, tmp_path / "a.jsonl")] == [
        "x.jpg"
    ]
