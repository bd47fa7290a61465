"""Images to exclude."""

from __future__ import annotations

import pytest

from glip.converters.excluded_images import ExcludedImages, coco_id


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COCO_train2014_000000581857.jpg", 581857),
        ("train2014/COCO_val2014_000000000042.jpg", 42),
        ("val2017/000000397133.jpg", 397133),
        (r"val2017\000000397133.jpg", 397133),
        ("http://images.cocodataset.org/train2017/000000391895.jpg", 391895),
        ("2386621.jpg", None),  # Visual Genome
        ("obj365_train_000000255476.jpg", None),
        ("objects365_v1_00420917.jpg", None),
        ("1000092795.jpg", None),  # Flickr30k
        ("000002b66c9c498e.jpg", None),  # Open Images
        ("0000000397133.jpg", None),  # thirteen digits
    ],
)
def test_coco_id(name, number):
    assert coco_id(name) == number


def test_reasons(tmp_path):
    (tmp_path / "a.txt").write_text("7\nfolder/x.jpg\nCOCO_val2014_000000000042.jpg\n")
    excluded = ExcludedImages([tmp_path / "a.txt"], missing={"gone.jpg"})
    assert excluded.reason("000000000007.jpg") == "listed in --exclude-images"
    assert excluded.reason("000000000042.jpg") == "listed in --exclude-images"
    assert excluded.reason("x.jpg") == "listed in --exclude-images"
    assert excluded.reason("1.jpg", known_coco_id=7) == "listed in --exclude-images"
    assert excluded.reason("gone.jpg") == "that the data set lacks"
    assert excluded.reason("7.jpg") is None
    assert excluded.reason("000000000008.jpg") is None
    assert ExcludedImages(all_coco=True).reason("000000000008.jpg") == "of COCO"
    assert ExcludedImages(all_coco=True).reason("8.jpg") is None
    assert ExcludedImages(all_coco=True).reason("8.jpg", known_coco_id=8) == "of COCO"
