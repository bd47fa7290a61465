"""Boxes, labels and ids of files in COCO's format, and the annotations that are skipped."""

import pytest
from mmengine.logging import MMLogger

from glip.datasets import CocoDataset
from glip.registry import DATASETS
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError
from tests.test_datasets.files import CLASSES, coco_content, write


def load(tmp_path, content, **others):
    arguments = dict(ann_file=write(tmp_path, content), metainfo=dict(classes=CLASSES))
    return CocoDataset(**{**arguments, "test_mode": True, "serialize_data": False, **others})


def boxes(dataset, at=0):
    return [each["bbox"] for each in dataset.get_data_info(at)["instances"]]


def test_data_info(tmp_path):
    dataset = load(tmp_path, coco_content(), data_root="/data", data_prefix=dict(img="val/"))
    info = dataset.get_data_info(0)
    assert info["img_id"] == 30
    assert info["img_path"] == "/data/val/a.png"
    assert (info["height"], info["width"]) == (40, 60)
    assert info["instances"] == [
        dict(bbox=[1, 2, 11, 22], bbox_label=1, ignore_flag=0),
        dict(bbox=[5, 5, 35, 35], bbox_label=2, ignore_flag=1),
    ]
    assert info["text"] == CLASSES
    assert dataset.get_data_info(1)["instances"][0]["bbox_label"] == 0
    assert dataset.get_data_info(2)["instances"] == []


def test_coco_is_the_default(tmp_path):
    names = CocoDataset.METAINFO["classes"]
    assert len(names) == 80
    content = coco_content()
    content["categories"] = [dict(id=2 * at, name=name) for at, name in enumerate(names)]
    for each in content["annotations"]:
        each["category_id"] = 158
    dataset = load(tmp_path, content, metainfo=None)
    assert dataset.metainfo["classes"] == names
    assert dataset.get_cat_ids(1) == [79]


@pytest.mark.parametrize(
    "change",
    [
        dict(bbox=[1, 1, float("nan"), 5]),
        dict(bbox=[1, 1, float("inf"), 5]),
        dict(bbox=[1, 1, 5]),
        dict(bbox=None),
        dict(bbox=[10, 10, 0, 5]),
        dict(bbox=[10, 10, 5, 0.5]),
        dict(bbox=[10, 10, -5, 5]),
        dict(bbox=[60, 1, 5, 5]),
        dict(bbox=[-8, 1, 5, 5]),
        dict(bbox=[1, 4000, 5, 5]),
        dict(category_id=404),
        dict(image_id=404),
    ],
)
def test_bad_annotations_are_left_out(tmp_path, change):
    content = coco_content()
    expected = boxes(load(tmp_path, content))
    content["annotations"].append({**content["annotations"][0], "id": 77, **change})
    assert boxes(load(tmp_path, content)) == expected


def test_they_are_counted_in_one_warning(tmp_path, monkeypatch):
    content = coco_content()
    for number in range(4):
        content["annotations"].append(dict(content["annotations"][0], id=50 + number, bbox=None))
    content["annotations"].append(dict(content["annotations"][0], id=60, bbox=[500, 1, 5, 5]))
    said = []
    monkeypatch.setattr(
        "glip.datasets.annotation_file.print_log", lambda message, **_: said.append(message)
    )
    load(tmp_path, content)
    assert len(said) == 1
    assert "4 annotations without a box of four numbers (id 50, id 51, id 52, ...)" in said[0]
    assert "1 annotation outside the image (id 60)" in said[0]


def test_boxes_partly_outside_stay(tmp_path):
    content = coco_content()
    content["annotations"][0]["bbox"] = [-5, -5, 10, 100]
    assert boxes(load(tmp_path, content))[0] == [-5, -5, 5, 95]


def test_sizes_may_be_missing(tmp_path):
    content = coco_content()
    for each in content["images"]:
        del each["height"], each["width"]
    assert len(boxes(load(tmp_path, content))) == 2


def test_ignored_annotations_are_flagged(tmp_path):
    content = coco_content()
    content["annotations"][0]["ignore"] = True
    flags = [each["ignore_flag"] for each in load(tmp_path, content).get_data_info(0)["instances"]]
    assert flags == [1, 1]


def test_filter(tmp_path):
    content = coco_content()
    content["annotations"][2]["iscrowd"] = 1
    ids = lambda dataset: [dataset.get_data_info(at)["img_id"] for at in range(len(dataset))]  # noqa: E731
    training = dict(test_mode=False)
    assert ids(load(tmp_path, content, filter_cfg=dict(filter_empty_gt=True), **training)) == [30]
    assert ids(load(tmp_path, content, filter_cfg=dict(min_size=40), **training)) == [30, 7]
    assert ids(load(tmp_path, content, **training)) == [30, 7, 12]
    everything = dict(filter_empty_gt=True, min_size=1000)
    assert ids(load(tmp_path, content, filter_cfg=everything)) == [30, 7, 12]


def test_names_that_do_not_match(tmp_path):
    with pytest.raises(AnnotationFileError, match="'traffic_light' is not in the file, but"):
        load(tmp_path, coco_content(), metainfo=dict(classes=("cat", "dog", "traffic_light")))


def test_image_without_a_file(tmp_path):
    content = coco_content()
    del content["images"][1]["file_name"]
    with pytest.raises(AnnotationFileError, match=r"id 7 in .* has no 'file_name'"):
        load(tmp_path, content)


def test_fewer_classes_than_the_file(tmp_path):
    dataset = load(tmp_path, coco_content(), metainfo=dict(classes=("cat",)))
    assert [dataset.get_cat_ids(at) for at in range(3)] == [[], [0], []]


def test_no_file(tmp_path):
    config = dict(type="CocoDataset", ann_file="none.json", data_root=str(tmp_path))
    with pytest.raises(AnnotationFileNotFoundError, match=r"none\.json"):
        DATASETS.build(config)
    DATASETS.build(dict(config, lazy_init=True))


@pytest.mark.parametrize("flag", ["iscrowd", None])
def test_nothing_to_evaluate_on(tmp_path, caplog, flag):
    content = coco_content()
    if flag is None:
        content["annotations"] = []
    for annotation in content["annotations"]:
        annotation[flag] = 1
    write(tmp_path, content)
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    CocoDataset(
        ann_file="instances.json",
        data_root=str(tmp_path),
        metainfo=dict(classes=CLASSES),
        test_mode=True,
    )
    logger.removeHandler(caplog.handler)
    assert "has no box of the classes to evaluate on" in caplog.text
