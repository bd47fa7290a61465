"""Prompts, images that cannot be read, and data sets without images."""

import os
import pickle
import re

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from glip.datasets import CocoDataset
from glip.utils.errors import AnnotationFileError, DataError, ImageReadError
from tests.test_datasets.files import CLASSES, PIPELINE, coco_content, draw, write


@pytest.fixture
def build(tmp_path):
    """Build the data set of three images in tmp_path, its files already written."""
    write(tmp_path, coco_content())
    draw(tmp_path, coco_content())

    def build(**others):
        arguments = dict(
            ann_file="instances.json",
            data_root=str(tmp_path),
            metainfo=dict(classes=CLASSES),
            pipeline=PIPELINE,
            test_mode=True,
            serialize_data=False,  # quicker: mmengine collects garbage after it
        )
        return CocoDataset(**{**arguments, **others})

    return build


def test_sample(build):
    data = build()[0]
    sample = data["data_samples"]
    assert data["inputs"].shape == (3, 64, 96)
    assert (sample.img_id, sample.ori_shape) == (30, (40, 60))
    assert sample.text == CLASSES
    assert sample.custom_entities is True
    assert "unreadable" not in sample
    assert sample.gt_instances.labels.tolist() == [1]
    assert len(sample.ignored_instances) == 1


def test_prompt_in_other_words(build):
    words = dict(cat=dict(prefix="a ", name="kitten", suffix=" asleep"))
    assert build(caption_prompt=words)[0]["data_samples"].caption_prompt == words
    with pytest.raises(ValueError, match="bird"):
        build(caption_prompt=dict(bird={}))
    with pytest.raises(ValueError, match="return_classes"):
        build(caption_prompt=words, return_classes=False)


def test_no_prompt(build):
    assert "text" not in build(return_classes=False).get_data_info(0)


def test_names_are_not_stored_with_every_image(build):
    plain = build(return_classes=False, serialize_data=True)
    prompted = build(serialize_data=True)
    assert len(plain.data_bytes) == len(prompted.data_bytes)


def test_meta_information(build):
    assert build().metainfo["ann_file"].endswith("instances.json")
    assert "ann_file" not in build(test_mode=False).metainfo
    assert build(lazy_init=True).metainfo["classes"] == CLASSES


@pytest.mark.parametrize("damage", [os.remove, lambda path: open(path, "w").close()])
def test_unreadable_image_when_testing(build, tmp_path, damage):
    damage(tmp_path / "b.png")
    samples = [data["data_samples"] for data in build()]
    assert [sample.img_id for sample in samples] == [30, 7, 12]  # none twice, none left out
    assert [sample.get("unreadable", False) for sample in samples] == [False, True, False]
    stand_in = build()[1]
    assert stand_in["inputs"].shape == (3, 32, 32)
    assert stand_in["inputs"].dtype == torch.uint8
    assert stand_in["data_samples"].ori_shape == (50, 50)
    assert stand_in["data_samples"].text == CLASSES
    assert stand_in["data_samples"].gt_instances.labels.tolist() == [0]


def test_unreadable_image_with_ignore_empty(build, tmp_path):
    os.remove(tmp_path / "b.png")
    pipeline = [dict(type="LoadImageFromFile", ignore_empty=True), *PIPELINE[1:]]
    assert build(pipeline=pipeline)[1]["data_samples"].unreadable


def test_unreadable_image_when_training(build, tmp_path):
    os.remove(tmp_path / "b.png")
    dataset = build(test_mode=False, max_unreadable=100)
    drawn = {dataset[1]["data_samples"].img_id for _ in range(20)}
    assert drawn <= {30, 12}


def test_an_unreadable_image_counts_once(build, tmp_path):
    """However many epochs go over it."""
    os.remove(tmp_path / "b.png")
    dataset = build(max_unreadable=1)
    assert all(dataset[1]["data_samples"].unreadable for _ in range(5))
    os.remove(tmp_path / "c.png")
    with pytest.raises(ImageReadError, match="2 of the 3 images"):
        dataset[2]


def test_wrong_folder_is_one_error(build):
    dataset = build(data_prefix=dict(img="elsewhere"))
    with pytest.raises(ImageReadError, match=r"3 of 3 images.*data_prefix \(img="):
        dataset[0]


@pytest.mark.parametrize(("limit", "stops"), [(0, True), (1, False), (0.2, True), (0.4, False)])
def test_limit(build, tmp_path, limit, stops):
    (tmp_path / "c.png").write_bytes(b"no image")
    dataset = build(max_unreadable=limit)
    if not stops:
        assert dataset[2]["data_samples"].unreadable
        return
    with pytest.raises(ImageReadError, match=r"1 of the 3 images.*max_unreadable"):
        dataset[2]


def test_loading_processes(build, tmp_path):
    os.remove(tmp_path / "a.png")
    loader = DataLoader(build(), batch_size=2, num_workers=2, collate_fn=pseudo_collate)
    samples = [sample for batch in loader for sample in batch["data_samples"]]
    assert [sample.get("unreadable", False) for sample in samples] == [True, False, False]


@pytest.mark.parametrize("serialize_data", [True, False])
def test_empty(build, tmp_path, serialize_data):
    write(tmp_path, {**coco_content(), "images": []}, "none.json")
    with pytest.raises(AnnotationFileError, match="data set is empty"):
        build(ann_file="none.json", serialize_data=serialize_data)
    with pytest.raises(AnnotationFileError, match="'min_size': 1000"):
        build(test_mode=False, filter_cfg=dict(min_size=1000), serialize_data=serialize_data)


def test_subset_and_pickling(build):
    dataset = pickle.loads(pickle.dumps(build(indices=2, serialize_data=True)))
    assert len(dataset) == 2
    assert dataset.get_subset([1])[0]["data_samples"].img_id == 7
    assert dataset.get_cat_ids(0) == [1, 2]


@pytest.mark.parametrize(
    ("names", "is_doubtful"),
    [
        (("cat, dog, bus", "car"), True),
        (("cat|dog",), True),
        (("cat . dog", "car"), True),
        (("'cat'", "dog"), True),
        (("***",), True),
        (("mug, with a handle", "car", "dog"), False),
        (("1", "2", "3"), False),
        (("traffic light", "stop-sign"), False),
    ],
)
def test_class_names_that_look_like_several(tmp_path, monkeypatch, names, is_doubtful):
    content = coco_content()
    content["annotations"] = content["annotations"][:1]
    content["categories"] = [dict(id=at + 1, name=name) for at, name in enumerate(names)]
    content["annotations"][0]["category_id"] = 1
    write(tmp_path, content)
    warned = []
    monkeypatch.setattr(
        "mmengine.logging.MMLogger.warning", lambda self, *args: warned.append(args)
    )
    CocoDataset(ann_file="instances.json", data_root=str(tmp_path), metainfo=dict(classes=names))
    assert bool(warned) == is_doubtful


@pytest.mark.parametrize("indices", [[999], [0, 3], [-4]])
def test_indices_without_an_image(build, indices):
    with pytest.raises(DataError, match=r"expected indices below the number of images .*, 3, got"):
        build(indices=indices)


@pytest.mark.parametrize("indices", [[2, 0], [-1], 2, -1])
def test_indices(build, indices):
    assert len(build(indices=indices)) == (2 if indices in ([2, 0], 2) else 1)


def test_nothing_left_of_the_annotations(build):
    with pytest.raises(AnnotationFileError, match=r"none of the 3 images of .* relax"):
        build(test_mode=False, filter_cfg=dict(min_size=1000))


def remove_all(results):
    """A transform of a user's project that drops every image."""
    del results


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            dict(type="FilterAnnotations", min_gt_bbox_wh=(1000, 1000)),
            r"FilterAnnotations\(min_gt_bbox_wh=\(1000, 1000\), keep_empty=True\)",
        ),
        (dict(type="FilterAnnotations", min_gt_bbox_wh=(1000, 0)), r"FilterAnnotations\(.*0\)"),
        (dict(type="FilterAnnotations", min_gt_bbox_wh=(0, 99.5)), r"FilterAnnotations\(.*99.5\)"),
        (remove_all, "<function remove_all"),
    ],
)
def test_a_pipeline_that_drops_every_image(build, step, said):
    pipeline = [*PIPELINE[:-1], step, PIPELINE[-1]]
    with pytest.raises(DataError) as raised:
        build(test_mode=False, pipeline=pipeline, max_refetch=3, indices=[0, 1])[0]
    text = str(raised.value)
    assert re.search(f"returned no image 4 times in a row: {said}.* dropped 2 of 2 images", text)


@pytest.mark.parametrize("limits", [(1000, 1000), (1000, 0), (0, 99.5)])
def test_a_filter_that_leaves_no_box_of_any_image(build, limits):
    step = dict(type="FilterAnnotations", min_gt_bbox_wh=limits, keep_empty=False)
    dataset = build(test_mode=False, pipeline=[*PIPELINE[:-1], step, PIPELINE[-1]])
    with pytest.raises(DataError, match="left no box of the first 10 images"):
        [dataset[at % 2] for at in range(30)]  # both have boxes


def test_a_filter_that_leaves_one_box(build):
    step = dict(type="FilterAnnotations", min_gt_bbox_wh=(15, 15), keep_empty=False)
    dataset = build(test_mode=False, pipeline=[*PIPELINE[:-1], step, PIPELINE[-1]])
    left = {at: len(dataset[at]["data_samples"].gt_instances) for at in (0, 1)}
    assert left == {0: 0, 1: 1}
    assert all(dataset[0] for _ in range(30))


class Broken(BaseTransform):
    """A step of the user."""

    def transform(self, results):
        raise RuntimeError("mine")


#: A pipeline whose steps do not fit together, and parts of the message.
UNFIT = {
    "no boxes": (
        [PIPELINE[0], dict(type="FilterAnnotations")],
        "FilterAnnotations of the pipeline",
        "needs 'gt_bboxes', which no step before it sets",
    ),
    "no image": ([dict(type="FixScaleResize", scale=64)], "FixScaleResize", "'img'"),
    "grey": (
        [dict(PIPELINE[0], color_type="grayscale"), dict(type="PackDetInputs")],
        "PackDetInputs",
        "color_type='color'",
    ),
    "own step": ([PIPELINE[0], Broken()], "Broken of the pipeline", "RuntimeError: mine"),
}


@pytest.mark.parametrize("test_mode", [True, False])
@pytest.mark.parametrize("name", UNFIT)
def test_pipeline_that_does_not_fit(build, name, test_mode):
    pipeline, *parts = UNFIT[name]
    with pytest.raises(DataError, match="check the order and the options of the steps") as caught:
        build(pipeline=pipeline, test_mode=test_mode)[0]
    assert all(part in str(caught.value) for part in parts)
    is_own = name == "own step"
    assert isinstance(caught.value.__cause__, RuntimeError) == is_own
