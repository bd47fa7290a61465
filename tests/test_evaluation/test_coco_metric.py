"""The COCO metrics equal those of pycocotools, called directly."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from glip.evaluation import CocoMetric
from glip.registry import METRICS
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError, DataError
from tests.test_evaluation.generated import (
    CATEGORY_IDS,
    CLASSES,
    as_results,
    coco_truth,
    predictions_for,
    run,
    sample,
    write,
)

NAMES = [
    *("bbox_mAP", "bbox_mAP_50", "bbox_mAP_75", "bbox_mAP_s", "bbox_mAP_m", "bbox_mAP_l"),
    *("bbox_AR@1", "bbox_AR@10", "bbox_AR@100"),
    *("bbox_AR_s@100", "bbox_AR_m@100", "bbox_AR_l@100"),
]


def direct(path, results, *, cat_ids=None, img_ids=None):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(path)
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        if cat_ids is not None:
            evaluation.params.catIds = cat_ids
        if img_ids is not None:
            evaluation.params.imgIds = img_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.fixture
def truth(tmp_path):
    return write(tmp_path / "truth.json", coco_truth())


@pytest.fixture
def samples():
    return predictions_for(coco_truth())


@pytest.mark.parametrize("seed", range(4))
def test_equals_pycocotools(tmp_path, seed):
    path = write(tmp_path / "truth.json", coco_truth(seed))
    samples = predictions_for(coco_truth(seed), seed + 10)
    numbers = run(CocoMetric(path), samples)
    stats = direct(path, as_results(samples)).stats
    assert list(numbers) == [f"coco/{name}" for name in NAMES]
    assert list(numbers.values()) == stats.tolist()  # bit for bit
    assert 0.05 < stats[0] < 0.95


def test_more_than_100_detections(tmp_path):
    path = write(tmp_path / "truth.json", coco_truth(5, num_images=8))
    samples = predictions_for(coco_truth(5, num_images=8), per_image=700)
    numbers = run(CocoMetric(path), samples)
    assert list(numbers.values()) == direct(path, as_results(samples)).stats.tolist()


def test_order_of_classes_does_not_matter(truth):
    shuffled = ("kite", "cat", "unicorn", "traffic light", "dog")
    first = run(CocoMetric(truth), predictions_for(coco_truth()))
    moved = predictions_for(coco_truth())
    for each in moved:
        labels = [shuffled.index(CLASSES[label]) for label in each["pred_instances"]["labels"]]
        each["pred_instances"]["labels"] = np.array(labels, dtype=int)
    assert run(CocoMetric(truth), moved, classes=shuffled) == first


def test_some_of_the_classes(truth, samples):
    some = ("dog", "cat")
    ids = [CATEGORY_IDS[name] for name in some]
    kept = []
    for each in samples:
        found = each["pred_instances"]
        keep = [i for i, label in enumerate(found["labels"]) if CLASSES[label] in some]
        labels = [some.index(CLASSES[found["labels"][i]]) for i in keep]
        kept.append(sample(each["img_id"], found["bboxes"][keep], found["scores"][keep], labels))
    numbers = run(CocoMetric(truth), kept, classes=some)
    stats = direct(truth, as_results(kept, some), cat_ids=ids).stats
    assert list(numbers.values()) == stats.tolist()


def test_class_that_the_file_lacks_is_dropped(tmp_path, samples):
    content = coco_truth()
    content["categories"] = [each for each in content["categories"] if each["name"] != "unicorn"]
    path = write(tmp_path / "truth.json", content)
    known = [each for each in as_results(samples) if each["category_id"] != CATEGORY_IDS["unicorn"]]
    assert list(run(CocoMetric(path), samples).values()) == direct(path, known).stats.tolist()


def test_only_the_images_with_predictions(truth, samples):
    numbers = run(CocoMetric(truth), samples[3:9])
    img_ids = [each["img_id"] for each in samples[3:9]]
    stats = direct(truth, as_results(samples[3:9]), img_ids=img_ids).stats
    assert list(numbers.values()) == stats.tolist()


def test_no_detections_at_all(truth, samples):
    nothing = [sample(each["img_id"], [], [], []) for each in samples]
    numbers = run(CocoMetric(truth), nothing)
    assert numbers["coco/bbox_mAP"] == 0
    assert numbers["coco/bbox_AR@100"] == 0


def test_nothing_annotated(tmp_path, samples):
    path = write(tmp_path / "truth.json", {**coco_truth(), "annotations": []})
    assert set(run(CocoMetric(path), samples).values()) == {-1.0}


def test_by_class(truth, samples):
    numbers = run(CocoMetric(truth, classwise=True), samples)
    precision = direct(truth, as_results(samples)).eval["precision"]
    ids = sorted(CATEGORY_IDS.values())
    for name in CLASSES[:4]:
        of_class = precision[:, :, ids.index(CATEGORY_IDS[name]), 0, -1]
        assert numbers[f"coco/{name}_precision"] == of_class.mean()
    assert np.isnan(numbers["coco/unicorn_precision"])


def test_thresholds_and_items(truth, samples):
    metric = CocoMetric(truth, iou_thrs=0.5, metric_items=["mAP", "AR@10"])
    numbers = run(metric, samples)
    stats = direct(truth, as_results(samples)).stats
    assert numbers["coco/bbox_mAP"] == stats[1]
    assert list(numbers) == ["coco/bbox_mAP", "coco/bbox_AR@10"]
    without = run(CocoMetric(truth, iou_thrs=[0.6, 0.7]), samples)
    assert "coco/bbox_mAP_50" not in without
    more = run(CocoMetric(truth, proposal_nums=(300, 1, 10)), samples)
    assert more["coco/bbox_AR@300"] >= stats[8]


def test_annotation_file_of_the_data_set(truth, samples):
    metric = CocoMetric()
    metric.dataset_meta = dict(classes=CLASSES, ann_file=truth)
    assert run(metric, samples, classes=None)["coco/bbox_mAP"] > 0


def test_writes_results(truth, samples, tmp_path):
    metric = CocoMetric(truth, format_only=True, outfile_prefix=str(tmp_path / "out" / "mine"))
    assert run(metric, samples) == {}
    assert json.loads((tmp_path / "out" / "mine.bbox.json").read_text()) == as_results(samples)


def test_validates_twice_without_reading_twice(truth, samples, monkeypatch):
    metric = CocoMetric(truth)
    first = run(metric, samples)
    monkeypatch.setattr(metric, "load_annotations", lambda meta: pytest.fail("read again"))
    assert run(metric, samples) == first


class TestBadData:
    """The metric equals pycocotools where pycocotools gives a result."""

    def test_zero_area_boxes_count_as_missed(self, tmp_path, samples):
        content = coco_truth()
        content["annotations"][0]["bbox"][2] = 0
        content["annotations"][1]["bbox"][3] = -5
        content["annotations"][2]["bbox"][:2] = [9000, 9000]
        path = write(tmp_path / "truth.json", content)
        numbers = run(CocoMetric(path), samples)
        assert list(numbers.values()) == direct(path, as_results(samples)).stats.tolist()

    @pytest.mark.parametrize(
        "bbox", [[float("nan"), 1, 2, 3], [1, 2, float("inf"), 3], [1, 2, 3], None, ["1", 2, 3, 4]]
    )
    def test_invalid_boxes_are_dropped(self, tmp_path, samples, bbox):
        content = coco_truth()
        clean = write(tmp_path / "clean.json", content)
        extra = dict(content["annotations"][0], id=9999, bbox=bbox)
        content["annotations"].append(extra)
        path = write(tmp_path / "truth.json", content)
        assert run(CocoMetric(path), samples) == run(CocoMetric(clean), samples)

    def test_copies_count_once(self, tmp_path, samples):
        content = coco_truth()
        clean = write(tmp_path / "clean.json", content)
        content["annotations"].append(dict(content["annotations"][0]))
        content["images"].append(dict(content["images"][0]))
        path = write(tmp_path / "truth.json", content)
        assert run(CocoMetric(path), samples) == run(CocoMetric(clean), samples)

    def test_area_and_crowd_may_be_missing(self, tmp_path, samples):
        content = coco_truth()
        for each in content["annotations"]:
            each.update(area=each["bbox"][2] * each["bbox"][3], iscrowd=0)
        full = write(tmp_path / "full.json", content)
        for each in content["annotations"]:
            del each["area"], each["iscrowd"]
        path = write(tmp_path / "truth.json", content)
        assert run(CocoMetric(path), samples) == run(CocoMetric(full), samples)

    def test_unreadable_images_have_no_detections(self, truth, samples):
        emptied = predictions_for(coco_truth())
        for each in samples[::3]:
            each["unreadable"] = True
        for at in range(0, len(emptied), 3):
            emptied[at] = sample(emptied[at]["img_id"], [], [], [])
        assert run(CocoMetric(truth), samples) == run(CocoMetric(truth), emptied)

    def test_non_finite_detections(self, truth, samples):
        clean = run(CocoMetric(truth), samples)
        found = samples[0]["pred_instances"]
        more = np.concatenate([found["bboxes"], [[0, 0, np.nan, 5], [0, 0, 9, 9]]])
        scores = np.concatenate([found["scores"], [0.9, np.inf]])
        labels = np.concatenate([found["labels"], [0, 0]])
        samples[0] = sample(samples[0]["img_id"], more, scores, labels)
        assert run(CocoMetric(truth), samples) == clean

    def test_misspelled_class(self, truth):
        with pytest.raises(AnnotationFileError, match="'Cat' is not in the file, but 'cat' is"):
            CocoMetric(truth).dataset_meta = dict(classes=("Cat", "dog"))

    def test_other_images(self, truth, samples):
        samples[4]["img_id"] = 123456
        with pytest.raises(ValueError, match=r"123456.*different files"):
            run(CocoMetric(truth), samples)

    def test_label_without_class(self, truth, samples):
        with pytest.raises(ValueError, match=r"label 4, but there are 4 classes"):
            run(CocoMetric(truth), samples, classes=CLASSES[:4])

    def test_no_file(self, tmp_path):
        with pytest.raises(AnnotationFileNotFoundError, match="there is no annotation file"):
            CocoMetric(str(tmp_path / "absent.json"))

    def test_no_classes(self, truth, samples):
        with pytest.raises(ValueError, match="MultiDatasetsEvaluator"):
            CocoMetric(truth).dataset_meta = dict(datasets=[])
        with pytest.raises(ValueError, match="does not know the data set's classes"):
            run(CocoMetric(truth), samples, classes=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(metric="segm"), "expected metric='bbox'"),
        (dict(format_only=True), "outfile_prefix"),
        (dict(metric_items=["mAP_99"]), "mAP_99"),
        (dict(proposal_nums=(100,)), "three"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        METRICS.build(dict(type="CocoMetric", **arguments))


def test_groups_average_their_classes(truth, samples):
    groups = dict(some=CLASSES[:2], rest=CLASSES[2:])
    numbers = run(CocoMetric(truth, class_groups=groups, classwise=True), samples)
    for group, members in groups.items():
        each = [numbers[f"coco/{name}_precision"] for name in members]
        assert numbers[f"coco/bbox_mAP_{group}"] == pytest.approx(np.nanmean(each))
    ids = [CATEGORY_IDS[name] for name in groups["some"]]
    alone = direct(truth, as_results(samples), cat_ids=ids).stats
    assert numbers["coco/bbox_mAP_50_some"] == pytest.approx(alone[1])


def test_groups_are_of_classes(truth):
    metric = CocoMetric(truth, class_groups=dict(some=["no such class"]))
    with pytest.raises(DataError, match="no such class"):
        metric.dataset_meta = dict(classes=CLASSES)
