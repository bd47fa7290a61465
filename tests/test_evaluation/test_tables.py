"""The table of several data sets."""

from glip.evaluation.tables import dataset_table


def test_one_row_per_data_set():
    numbers = {
        "refcoco+_val/refexp/mean_precision": 0.4,
        "refcoco+_val/refexp/refcoco+_precision@1": 0.3,
        "refcoco_val/refexp/mean_precision": 0.6,
        "refcoco_val/refexp/refcoco_precision@1": 0.5,
        "refcoco_val/refexp/refcoco_precision@5": 0.7,
        "average/refexp/mean_precision": 0.5,
        "dump/seconds": 3.0,
    }
    names = ["refcoco_val", "refcoco+_val", "refcocog_val", "empty"]
    header, rows = dataset_table(numbers, names, ["refcocog_val"])
    assert header == ["data set", "mean_precision", "precision@1", "precision@5"]
    assert rows == [
        ["refcoco_val", 0.6, 0.5, 0.7],
        ["refcoco+_val", 0.4, 0.3, -1.0],
        ["refcocog_val (absent)", -1.0, -1.0, -1.0],
        ["empty", -1.0, -1.0, -1.0],
        ["average", 0.5, -1.0, -1.0],
    ]


def test_metrics_of_single_classes_have_no_column():
    numbers = {"a/coco/cat_precision": 0.1, "a/coco/bbox_mAP": 0.2, "b/coco/dog_precision": 0.3}
    assert dataset_table(numbers, ["a", "b"], [])[0] == ["data set", "mAP"]
