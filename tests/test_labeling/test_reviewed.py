"""Corrections of a review page are merged into all labels of the run, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from glip.labeling.files import read_records
from glip.labeling.formats.export import FORMATS, write_format
from glip.labeling.review import write_review
from glip.labeling.reviewed import ReviewedExport, read_reviews
from glip.utils.errors import AnnotationFileError, LabelingMismatchError
from tests.test_labeling.exported import NAMES, make_export
from tests.test_labeling.review_page import correct, read_page

#: What the reviewer of the first two images of the page leaves there.
TRUTH = dict(
    categories=[dict(id=7, name=NAMES[1]), dict(id=9, name=NAMES[0])],
    images=[dict(id=1, file_name="sub/c d.jpg"), dict(id=2, file_name="a.jpg")],
    annotations=[
        dict(image_id=1, category_id=7, bbox=[1, 2, 30.5, 40]),
        dict(image_id=1, category_id=9, bbox=[5, 5, 10, 10]),
    ],
)


@pytest.fixture
def export(tmp_path):
    return make_export(tmp_path)


@pytest.fixture
def content(export) -> dict:
    """The download of a page of which two images were corrected."""
    return correct(read_page(write_review(export, [0.6, 0.5], 100)), TRUTH, 2)


def save(tmp_path: Path, content: dict, name: str = "corrected.json") -> str:
    (tmp_path / name).write_text(json.dumps(content))
    return str(tmp_path / name)


def read(export, *paths: str):
    return read_reviews(paths, export.files.detections, NAMES)


def reviewed(export, *paths: str) -> ReviewedExport:
    return ReviewedExport(
        *(export.files.reviewed(), NAMES, export.model, export.images),
        labels=export.files.detections,
        reviews=read(export, *paths),
    )


def test_reviewed_images_get_the_corrected_boxes(export, content, tmp_path):
    merged = reviewed(export, save(tmp_path, content))
    assert merged.summary() == "2 images reviewed; boxes: 0 changed, 2 added, 3 deleted"
    before = {each["file_name"]: each for each in read_records(export.files.detections)}
    after = {each["file_name"]: each for each in merged.records()}
    assert list(after) == list(before)
    assert after["b.png"] == before["b.png"] | {"reviewed": False}
    assert after["a.jpg"]["detections"] == []
    assert after["sub/c d.jpg"]["detections"] == [
        dict(bbox=[1, 2, 31.5, 42], label=1, corrected=True),
        dict(bbox=[5, 5, 15, 15], label=0, corrected=True),
    ]


def test_images_that_nobody_touched_keep_their_labels(export, content, tmp_path):
    for image in content["images"]:
        image["reviewed"] = image["file_name"] == "a.jpg"
    merged = reviewed(export, save(tmp_path, content))
    (path,) = write_format("coco", merged)
    coco = COCO(str(path))
    assert {each["file_name"]: each["reviewed"] for each in coco.imgs.values()} == {
        "a.jpg": True,
        "b.png": False,
        "sub/c d.jpg": False,
    }
    (left,) = coco.anns.values()  # that of "sub/c d.jpg", as the detector found it
    assert (left["score"], left["prompt"], "corrected" in left) == (0.61, "star", False)
    assert coco.dataset["info"]["description"].endswith("1 images reviewed")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_boxes_without_a_score(name, export, content, tmp_path):
    content["images"][2]["reviewed"] = False
    merged = reviewed(export, save(tmp_path, content))
    written = write_format(name, merged)
    assert all(tmp_path / "out" / "reviewed" in path.parents for path in written)


def test_files_of_several_people(export, content, tmp_path):
    other = json.loads(json.dumps(content))
    for image in other["images"]:
        image["reviewed"] = image["file_name"] == "a.jpg"
    paths = [save(tmp_path, content), save(tmp_path, other, "other.json")]
    assert len(read(export, *paths)) == 2  # they agree on a.jpg
    number = next(each["id"] for each in other["images"] if each["file_name"] == "a.jpg")
    box = dict(id=9, image_id=number, category_id=1, bbox=[1, 1, 5, 5], corrected=True)
    other["annotations"].append(box)
    paths[1] = save(tmp_path, other, "other.json")
    with pytest.raises(LabelingMismatchError, match=r"different boxes for the image 'a\.jpg'"):
        read(export, *paths)


def of_another_run(content: dict) -> None:
    content["info"]["labels"] = "0" * 64


def with_other_classes(content: dict) -> None:
    content["categories"].reverse()


def of_another_tool(content: dict) -> None:
    del content["info"]


def with_a_box_outside(content: dict) -> None:
    content["annotations"][-1]["bbox"] = [40, 40, 20, 20]


def with_an_invalid_box(content: dict) -> None:
    content["annotations"][-1]["bbox"] = [1, 2, None, 4]


def not_reviewed(content: dict) -> None:
    for image in content["images"]:
        image["reviewed"] = False


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (of_another_run, LabelingMismatchError, "labels of another run"),
        (with_other_classes, LabelingMismatchError, "labels of another run"),
        (of_another_tool, LabelingMismatchError, "not downloaded from a review page"),
        (with_a_box_outside, AnnotationFileError, "not in the image of 50 x 50"),
        (with_an_invalid_box, AnnotationFileError, "cannot be used"),
        (not_reviewed, LabelingMismatchError, "nothing to apply"),
    ],
)
def test_what_is_refused(
    change: Callable, error: type, message: str, export, content, tmp_path
) -> None:
    change(content)
    with pytest.raises(error, match=message):
        read(export, save(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "7"),
        ("id", True),
        ("id", None),
        ("corrected", "yes"),
        ("corrected", 1),
        ("score", float("nan")),
        ("score", "0.5"),
        ("score", 5),
        ("score", None),
        ("probability", -0.1),
        ("probability", [1]),
        ("prompt", 3),
    ],
)
def test_values_that_no_page_writes_are_refused(name, value, export, content, tmp_path):
    content["annotations"][-1][name] = value
    with pytest.raises(AnnotationFileError, match=f"expected {name} of a box as "):
        read(export, save(tmp_path, content))


def test_a_file_that_lost_its_boxes_does_not_delete_those_of_the_run(export, content, tmp_path):
    del content["annotations"]
    with pytest.raises(AnnotationFileError, match="has no list 'annotations'"):
        read(export, save(tmp_path, content))


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_reviewed_is_true_or_false(value, export, content, tmp_path):
    content["images"][0]["reviewed"] = value
    with pytest.raises(AnnotationFileError, match="expected reviewed as true or false"):
        read(export, save(tmp_path, content))


@pytest.mark.parametrize("key", ["id", "file_name"])
def test_unknown_images_are_refused(key, export, content, tmp_path):
    content["images"][0][key] = 17 if key == "id" else "d.jpg"
    content["annotations"] = []
    merged = reviewed(export, save(tmp_path, content))
    with pytest.raises(LabelingMismatchError, match="which the run does not have"):
        merged.summary()
