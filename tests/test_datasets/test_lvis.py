"""LVIS: class names, image paths and federated annotations."""

import pytest

from glip.datasets import LVISV1Dataset
from glip.text import load_vocabulary
from glip.text.prompt import clean_name
from glip.utils.errors import AnnotationFileError
from tests.test_datasets.files import write

NAMES = load_vocabulary("lvis")


def lvis_content(names=NAMES):
    url = "http://images.cocodataset.org/train2017/000000391895.jpg"
    image = dict(id=391895, coco_url=url, height=100, width=100)
    image.update(neg_category_ids=[4, 8], not_exhaustive_category_ids=[1203])
    return dict(
        images=[image],
        categories=[dict(id=at + 1, name=name, frequency="r") for at, name in enumerate(names)],
        annotations=[dict(id=1, image_id=391895, category_id=1203, bbox=[1, 1, 9, 9], area=50)],
    )


def load(tmp_path, content):
    path = write(tmp_path, content)
    return LVISV1Dataset(path, data_prefix=dict(img="/coco"), test_mode=True, serialize_data=False)


def test_data_info(tmp_path):
    info = load(tmp_path, lvis_content()).get_data_info(0)
    assert info["img_path"] == "/coco/train2017/000000391895.jpg"
    assert info["instances"] == [dict(bbox=[1, 1, 10, 10], bbox_label=1202, ignore_flag=0)]
    assert info["neg_category_ids"] == [4, 8]
    assert info["not_exhaustive_category_ids"] == [1203]
    assert info["text"] == NAMES


def test_names_cleaned_in_the_file(tmp_path):
    content = lvis_content([clean_name(name) for name in NAMES])
    assert load(tmp_path, content).get_cat_ids(0) == [1202]


def test_other_names(tmp_path):
    with pytest.raises(AnnotationFileError, match="do not match"):
        load(tmp_path, lvis_content([*NAMES[:-1], "zuchini"]))


def test_file_name(tmp_path):
    content = lvis_content()
    del content["images"][0]["coco_url"]
    with pytest.raises(AnnotationFileError, match="neither 'coco_url' nor 'file_name'"):
        load(tmp_path, content)
    content["images"][0]["file_name"] = "val2017/1.jpg"
    assert load(tmp_path, content).get_data_info(0)["img_path"] == "/coco/val2017/1.jpg"
