"""Several data sets as one."""

import pytest
from mmengine.dataset import ClassBalancedDataset
from mmengine.registry import DefaultScope

from glip.datasets import CocoDataset, ConcatDataset
from glip.registry import DATASETS
from glip.utils.errors import AnnotationFileNotFoundError, DataError
from tests.test_datasets.files import CLASSES, PIPELINE, coco_content, draw, write


@pytest.fixture
def configs(tmp_path):
    draw(tmp_path, coco_content())
    shared = dict(
        type="CocoDataset",
        data_root=str(tmp_path),
        pipeline=PIPELINE,
        test_mode=True,
        serialize_data=False,  # quicker: mmengine collects garbage after it
    )
    write(tmp_path, coco_content(), "all.json")
    return [
        dict(shared, ann_file="all.json", metainfo=dict(classes=CLASSES)),
        dict(shared, ann_file="none.json", metainfo=dict(classes=("kite",))),
        dict(shared, ann_file="all.json", metainfo=dict(classes=("dog", "cat")), indices=2),
    ]


def test_every_sample_knows_its_data_set(configs):
    dataset = DATASETS.build(dict(type="ConcatDataset", datasets=[configs[0], configs[2]]))
    samples = [dataset[at]["data_samples"] for at in range(len(dataset))]
    assert [sample.dataset_index for sample in samples] == [0, 0, 0, 1, 1]
    assert [sample.img_id for sample in samples] == [30, 7, 12, 30, 7]
    assert [sample.text for sample in samples] == [CLASSES] * 3 + [("dog", "cat")] * 2
    assert dataset[-1]["data_samples"].dataset_index == 1


def test_absent_data_sets_are_skipped_when_testing(configs):
    dataset = ConcatDataset(configs)
    assert [dataset.get_dataset_source(at) for at in range(len(dataset))] == [0, 0, 0, 2, 2]
    assert dataset[3]["data_samples"].dataset_index == 2
    meta = dataset.metainfo
    assert meta["sizes"] == [3, 0, 2]
    assert meta["cumulative_sizes"] == [3, 3, 5]
    assert meta["datasets"][1] is None
    assert meta["datasets"][2]["classes"] == ("dog", "cat")
    assert "classes" not in meta
    assert "none.json" in dataset.missing[1]


def test_absent_data_sets_are_an_error_otherwise(configs):
    with pytest.raises(AnnotationFileNotFoundError, match=r"none\.json"):
        ConcatDataset(configs, skip_missing=False)
    with pytest.raises(AnnotationFileNotFoundError, match=r"none\.json"):
        ConcatDataset([configs[0], dict(configs[1], test_mode=False)])
    with pytest.raises(AnnotationFileNotFoundError, match="none of the 1 data sets exists"):
        ConcatDataset(configs[1:2])


def test_what_all_agree_on(configs):
    dataset = ConcatDataset([configs[0], configs[0]])
    assert dataset.metainfo["classes"] == CLASSES
    assert "classes" not in ConcatDataset([configs[0]], ignore_keys="classes").metainfo


def test_objects_and_lazy_reading(configs):
    built = CocoDataset(**{key: value for key, value in configs[0].items() if key != "type"})
    dataset = ConcatDataset([built, dict(configs[2], lazy_init=True)], lazy_init=True)
    dataset.full_init()
    assert len(dataset) == 5


def test_arguments():
    with pytest.raises(ValueError, match="empty"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="configs and data sets"):
        ConcatDataset([3])


def test_balanced_classes(configs):
    both = dict(type="ConcatDataset", datasets=[configs[0], configs[0]])
    concat = DATASETS.build(both)
    assert concat.get_cat_ids(4) == concat.datasets[1].get_cat_ids(1)
    with DefaultScope.overwrite_default_scope("glip"):
        assert len(ClassBalancedDataset(both, oversample_thr=0.9)) >= len(concat)
    differing = DATASETS.build(dict(type="ConcatDataset", datasets=[configs[0], configs[2]]))
    with pytest.raises(DataError, match="put ClassBalancedDataset around each"):
        differing.get_cat_ids(0)
