"""Checks of the data, and the table of metrics."""

from __future__ import annotations

from unittest import mock

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from glip.apis.evaluation import build_evaluator, check_test_data, dataset_names, format_metrics
from glip.apis.pipelines import find_test_pipeline
from glip.utils.errors import AnnotationFileNotFoundError, ConfigError


def config(dataset: dict) -> Config:
    return Config(dict(test_dataloader=dict(dataset=dataset), test_evaluator=dict(type="M")))


@pytest.fixture
def there(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    return str(tmp_path)


def test_one_data_set(there):
    check_test_data(config(dict(data_root=there, ann_file="a.json", test_mode=True)))
    check_test_data(config(dict(data_root="elsewhere", ann_file=f"{there}/a.json")))
    check_test_data(config(dict(type="OfOnesOwn")))
    with pytest.raises(AnnotationFileNotFoundError, match=r"no annotation file '.*b\.json'"):
        check_test_data(config(dict(data_root=there, ann_file="b.json", test_mode=True)))


def test_data_that_are_read_for_training(there):
    parts = [dict(data_root=there, ann_file="a.json", test_mode=each) for each in (True, False)]
    with mock.patch("glip.apis.evaluation.print_log") as log:
        check_test_data(config(parts[0]))
        log.assert_not_called()
        check_test_data(config(dict(type="ConcatDataset", datasets=parts)))
    log.assert_called_once()
    assert "'a.json' of test_dataloader is read for training" in log.call_args.args[0]


@pytest.mark.parametrize("wrapped", [False, True])
def test_several_data_sets(there, wrapped):
    def joined(*files, test_mode=True, **more):
        parts = [dict(data_root=there, ann_file=each, test_mode=test_mode) for each in files]
        datasets = dict(type="ConcatDataset", datasets=parts, **more)
        return config(dict(type="Wrapper", dataset=datasets) if wrapped else datasets)

    check_test_data(joined("a.json", "b.json"))
    with pytest.raises(AnnotationFileNotFoundError, match="none of the 2 data sets exists"):
        check_test_data(joined("b.json", "c.json"))
    # As in ConcatDataset: by default only data sets for testing are skipped.
    with pytest.raises(AnnotationFileNotFoundError, match=r"no annotation file '.*b\.json'"):
        check_test_data(joined("a.json", "b.json", test_mode=False))
    if not wrapped:
        check_test_data(joined("a.json", "b.json", test_mode=False, skip_missing=True))
        with pytest.raises(AnnotationFileNotFoundError, match=r"no annotation file '.*b\.json'"):
            check_test_data(joined("a.json", "b.json", skip_missing=False))


@pytest.mark.parametrize("lacks", ["test_dataloader", "test_evaluator"])
def test_nothing_to_test(lacks):
    cfg = config(dict(type="OfOnesOwn"))
    cfg[lacks] = None
    with pytest.raises(ConfigError, match=f"the config has no {lacks}: there is nothing"):
        check_test_data(cfg)


def test_table_of_one_data_set():
    assert format_metrics({"coco/bbox_mAP": 0.25, "coco/bbox_mAP_l": -1.0}).splitlines() == [
        "metric           value",
        "----------------------",
        "coco/bbox_mAP    0.250",
        "coco/bbox_mAP_l      -",
    ]


def test_table_of_several_data_sets():
    metrics = {
        "fish/coco/bbox_mAP": 0.5,
        "fish/coco/bbox_mAP_50": 0.75,
        "hands/coco/bbox_mAP": 0.25,
        "average/coco/bbox_mAP": 0.375,
        "other/number": 1.0,
    }
    assert format_metrics(metrics, ["fish", "birds", "hands"]).splitlines() == [
        "data set          mAP  mAP_50",
        "-----------------------------",
        "fish            0.500   0.750",
        "birds (absent)      -       -",
        "hands           0.250       -",
        "average         0.375       -",
        "",
        "metric        value",
        "-------------------",
        "other/number  1.000",
    ]


def test_columns_are_shared_and_few():
    names = ["refcoco_val", "refcoco+_val"]
    metrics = {f"{name}/refexp/{name.split('_')[0]}_precision@1": 0.5 for name in names}
    assert format_metrics(metrics, names).splitlines()[0].split() == ["data", "set", "precision@1"]
    kinds = [f"Recall@{k}_{kind}" for k in (1, 5) for kind in ("animals", "all", "people", "other")]
    header = format_metrics({f"val/flickr30k/{kind}": 0.5 for kind in kinds}, ["val"]).split("\n")[
        0
    ]
    assert header.split()[2:4] == ["Recall@1_all", "Recall@5_all"]
    assert len(header.split()) == 2 + 6


def test_names_of_data_sets():
    assert dataset_names(Config(dict(test_evaluator=dict(type="M")))) == []
    assert dataset_names(Config(dict(test_evaluator=[dict(type="M")]))) == []
    cfg = Config(dict(test_evaluator=dict(type="M", metrics=[], dataset_prefixes=("a", "b"))))
    assert dataset_names(cfg) == ["a", "b"]


METRICS = [
    (dict(metric="segm"), "expected metric='bbox'"),
    (dict(metric=5), "metric as a text or a list of texts, got 5"),
    (dict(iou_thrs="x"), "iou_thrs as a finite number from 0 to 1"),
    (dict(iou_thrs=2), "iou_thrs as a finite number from 0 to 1, got 2"),
    (dict(iou_thrs=[]), "iou_thrs as a list of one or more"),
    (dict(iou_thrs=[0.5, float("nan")]), "got nan"),
    (dict(proposal_nums=(1, 10)), "three proposal_nums"),
    (dict(proposal_nums=(0, 1, 2)), "proposal_nums as an integer of 1 or more"),
    (dict(metric_items="mAP"), "metric_items as a list of texts"),
    (dict(metric_items=["map"]), "metric_items has"),
    (dict(classwise=1), "classwise as True or False"),
    (dict(class_groups=5), "class_groups as a dictionary"),
    (dict(class_groups=dict(a="cat")), "as a list of names, got 'cat'"),
    (dict(class_groups=dict(a=[])), "as a list of names"),
    (dict(outfile_prefix=5), "outfile_prefix as a text"),
    (dict(prefix=5), "prefix as a text"),
    (dict(ann_file=5), "ann_file as a text"),
    (dict(collect_device="cuda"), "'cpu' or 'gpu'"),
    (dict(backend_args=5), "backend_args as a dictionary"),
    (dict(topk=5), "has no option 'topk'"),
    (dict(type="LVISMetric", max_dets=0), "max_dets as an integer of 1 or more"),
    (dict(type="LVISFixedAPMetric", topk=-1), "topk as an integer of 1 or more"),
    (dict(type="LVISFixedAPMetric", topk=1.5), "topk as an integer"),
    (dict(type="Flickr30kMetric", topk=(0,)), "topk as an integer of 1 or more"),
    (dict(type="RefExpMetric", iou_thrs=1.5), "from 0 to 1"),
    (dict(type="RefExpMetric", topk=()), "topk as a list of one or more"),
    (dict(type="CocoMetrik"), "did you mean 'CocoMetric'"),
]


@pytest.mark.parametrize(("options", "message"), METRICS, ids=[str(each) for each, _ in METRICS])
@pytest.mark.parametrize("several", [False, True])
def test_options_of_metrics(options, message, several):
    metric = dict(type="CocoMetric") | options
    cfg = Config(dict(test_evaluator=[metric] if several else metric))
    with DefaultScope.overwrite_default_scope("glip"), pytest.raises(ConfigError) as caught:
        build_evaluator(cfg)
    assert message in str(caught.value)
    assert str(caught.value).count("test_evaluator") == 1


@pytest.mark.parametrize("evaluator", [5, "CocoMetric", [], [5], [None], dict(metrics=[])])
def test_no_evaluator(evaluator):
    cfg = Config(dict(test_evaluator=evaluator))
    with DefaultScope.overwrite_default_scope("glip"), pytest.raises(ConfigError):
        build_evaluator(cfg)


@pytest.mark.parametrize("loader", [5, "x", [1], (1,), True, 0.5, b"x", {1}, "dataset", [[]]])
def test_a_data_loader_that_is_no_dictionary(loader):
    cfg = Config(dict(test_dataloader=loader, test_evaluator=dict(type="M")))
    with pytest.raises(ConfigError, match="expected test_dataloader as a dictionary"):
        check_test_data(cfg)
    with pytest.raises(ConfigError, match="expected test_dataloader as a dictionary"):
        find_test_pipeline(cfg)
