"""The generated examples: the same for the same seed, and valid in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.test_tools.commands import tool

TOOL = "dataset_converters/make_examples.py"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made")
    tool(TOOL).main([str(out), "--seed", "3"])
    return out


def test_seeds(made, tmp_path):
    make = tool(TOOL)
    make.main([str(tmp_path / "same"), "--seed", "3"])
    make.main([str(tmp_path / "other")])
    assert files(made) == files(tmp_path / "same")
    other = files(tmp_path / "other")
    assert files(made).keys() == other.keys()
    assert files(made) != other


def test_size(made):
    assert sum(map(len, files(made).values())) < 2**20


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("coco/annotations/instances_val2017.json", "coco/val2017"),
        ("coco/annotations/instances_train2017.json", "coco/train2017"),
        ("coco/annotations/lvis_od_val.json", "coco/val2017"),
        ("coco/annotations/lvis_v1_minival_inserted_image_name.json", "coco/val2017"),
        ("coco/mdetr_annotations/finetune_refcoco_val.json", "coco/train2014"),
        ("coco/mdetr_annotations/finetune_refcocog_val.json", "coco/train2014"),
        (
            "flickr30k_entities/final_flickr_separateGT_test.json",
            "flickr30k_entities/flickr30k_images",
        ),
        (
            "flickr30k_entities/final_flickr_separateGT_train.json",
            "flickr30k_entities/flickr30k_images",
        ),
        (
            "odinw/Aquarium/Aquarium Combined.v2-raw-1024.coco/valid/annotations_without_background"
            ".json",
            "odinw/Aquarium/Aquarium Combined.v2-raw-1024.coco/valid",
        ),
        (
            "odinw/pistols/export/val_annotations_without_background.json",
            "odinw/pistols/export",
        ),
    ],
)
def test_annotations(made, file, images):
    content = json.loads((made / file).read_text())
    categories = {each["id"] for each in content["categories"]}
    sizes = {}
    for entry in content["images"]:
        image = Image.open(made / images / entry["file_name"])
        assert image.size == (entry["width"], entry["height"])
        sizes[entry["id"]] = image.size
        for (start, end), *_ in entry.get("tokens_positive_eval", ()):
            assert entry["caption"][start:end].split()[0] in ("a", "an")
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        assert annotation["category_id"] in categories
        assert left + width <= sizes[annotation["image_id"]][0]
        assert top + height <= sizes[annotation["image_id"]][1]


def test_coco_has_what_is_hard(made):
    for split in ("train2017", "val2017"):
        content = json.loads((made / f"coco/annotations/instances_{split}.json").read_text())
        annotated = {each["image_id"] for each in content["annotations"]}
        assert any(each["id"] not in annotated for each in content["images"])
        assert any(each["iscrowd"] for each in content["annotations"])
        assert any(not each["area"] for each in content["annotations"])
        assert max(each["id"] for each in content["categories"]) == 90
    assert len(content["images"]) % 2  # val: two processes get unequal shares
