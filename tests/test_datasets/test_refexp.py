"""Referring expressions."""

from glip.datasets import MDETRStyleRefCocoDataset
from tests.test_datasets.files import PIPELINE, draw, write


def content():
    image = dict(id=0, file_name="a.png", height=40, width=60, dataset_name="refcoco+")
    annotation = dict(image_id=0, category_id=5, bbox=[1, 2, 10, 20], area=200, iscrowd=0)
    return dict(
        images=[
            dict(image, caption="the left dog"),
            dict(image, id=1, caption="dog that sleeps", dataset_name="refcocog"),
        ],
        categories=[dict(id=5, name="dog")],
        annotations=[dict(annotation, id=0), dict(annotation, id=1, image_id=1, bbox=[1, 1, 3])],
    )


def test_data_info(tmp_path):
    dataset = MDETRStyleRefCocoDataset(write(tmp_path, content()), serialize_data=False)
    info = dataset.get_data_info(0)
    assert (info["text"], info["tokens_positive"]) == ("the left dog", -1)
    assert info["instances"] == [dict(bbox=[1, 2, 11, 22], bbox_label=0, ignore_flag=0)]
    assert info["dataset_mode"] == "refcoco+"
    assert dataset.get_data_info(1)["instances"] == []


def test_sample(tmp_path):
    draw(tmp_path, content())
    dataset = MDETRStyleRefCocoDataset(
        write(tmp_path, content()),
        data_prefix=dict(img=str(tmp_path)),
        pipeline=PIPELINE,
        test_mode=True,
        serialize_data=False,
    )
    sample = dataset[1]["data_samples"]
    assert (sample.text, sample.tokens_positive) == ("dog that sleeps", -1)
    assert sample.dataset_mode == "refcocog"
