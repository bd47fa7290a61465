"""Captions, phrases and their boxes."""

import pytest

from glip.datasets import Flickr30kDataset
from glip.structures import DetDataSample
from glip.utils.errors import AnnotationFileError
from tests.test_datasets.files import PIPELINE, draw, write
from tests.test_datasets.test_flickr30k_entities import entities

CAPTION = "Two men in green shirts stand in a yard ."


def content():
    """As MDETR's script writes it: sizes as texts, one box for several phrases."""
    image = dict(
        id=4,
        file_name="77.jpg",
        height="80",
        width="100",
        caption=CAPTION,
        dataset_name="flickr",
        original_img_id=77,
        sentence_id=0,
        tokens_negative=[[0, len(CAPTION)]],
        tokens_positive_eval=[[[0, 7]], [[11, 23]]],
    )
    annotation = dict(image_id=4, category_id=1, iscrowd=0, area=800)
    return dict(
        images=[image],
        categories=[dict(id=1, name="object")],
        annotations=[
            dict(annotation, id=0, bbox=[10, 20, 20, 40], tokens_positive=[[0, 7]]),
            dict(annotation, id=1, bbox=[41, 20, 20, 40], tokens_positive=[[11, 23], [0, 7]]),
        ],
    )


def load(tmp_path, written, **others):
    write(tmp_path, written)
    return Flickr30kDataset(
        "instances.json", data_root=str(tmp_path), serialize_data=False, **others
    )


def test_data_info(tmp_path):
    info = load(tmp_path, content()).get_data_info(0)
    assert (info["text"], info["custom_entities"]) == (CAPTION, False)
    assert info["tokens_positive"] == [[[0, 7]], [[11, 23]]]
    assert info["phrases"] == ["Two men", "green shirts"]
    assert info["phrase_boxes"] == [[[10, 20, 30, 60], [41, 20, 61, 60]], [[41, 20, 61, 60]]]
    assert info["phrase_ids"] == [0, 0, 1]
    assert [each["bbox_label"] for each in info["instances"]] == [0, 0, 1]
    assert (info["height"], info["width"]) == (80, 100)


def test_sample_carries_what_the_metric_needs(tmp_path):
    draw(tmp_path, content())
    sample = load(tmp_path, content(), pipeline=PIPELINE)[0]["data_samples"]
    assert isinstance(sample, DetDataSample)
    assert sample.phrases == ["Two men", "green shirts"]
    assert len(sample.phrase_boxes) == 2
    assert sample.tokens_positive == [[[0, 7]], [[11, 23]]]


def test_phrase_ids_instead_of_spans(tmp_path):
    written = content()
    for number, each in zip((31, 77), written["annotations"], strict=True):
        each["phrase_ids"] = number
        del each["tokens_positive"]
    info = load(tmp_path, written).get_data_info(0)
    assert info["phrase_boxes"] == [[[10, 20, 30, 60]], [[41, 20, 61, 60]]]


def test_original_annotations(tmp_path):
    entities(tmp_path / "release")
    info = load(tmp_path, content(), entities_root="release").get_data_info(0)
    assert info["phrase_types"] == [["people"], ["clothing"]]
    assert info["phrase_boxes"] == [[[10, 20, 30, 60], [40, 20, 60, 60]], [[40, 20, 60, 60]]]


def test_what_cannot_be_scored_is_left_out(tmp_path):
    written = content()
    image = written["images"][0]
    image["tokens_positive_eval"] += [[[33, 39]], [[30, 99]], []]
    written["annotations"] += [
        dict(written["annotations"][0], id=7, bbox=[1, 1, float("nan"), 4]),
        dict(written["annotations"][0], id=8, bbox=[1, 1, 0, 4]),
        dict(written["annotations"][0], id=9, tokens_positive=[[2, 3]]),
    ]
    written["images"].append(dict(image, id=5, tokens_positive_eval=[]))
    dataset = load(tmp_path, written)
    assert len(dataset) == 1
    assert dataset.get_data_info(0)["phrases"] == ["Two men", "green shirts"]
    assert len(dataset.get_data_info(0)["phrase_boxes"][0]) == 2


def test_image_without_a_caption(tmp_path):
    written = content()
    del written["images"][0]["caption"]
    with pytest.raises(AnnotationFileError, match=r"id 4 .* has no 'caption'"):
        load(tmp_path, written)


def test_nothing_left(tmp_path):
    with pytest.raises(AnnotationFileError, match="empty"):
        load(tmp_path, {**content(), "annotations": []})
