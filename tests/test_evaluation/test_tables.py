"""Tables in plain text."""

from glip.evaluation.tables import format_table, table_of_data_sets


def test_table():
    table = format_table(
        ["class", "AP", "n"], [["cat", 0.5, 7], ["dog", -1.0, 12], ["", float("nan"), 1]]
    )
    assert table.splitlines() == [
        "class     AP   n",
        "----------------",
        "cat    0.500   7",
        "dog        -  12",
        "           -   1",
    ]


def test_no_rows():
    assert format_table(["a", "b"], []).splitlines()[0] == "a  b"


def test_data_sets_in_lines():
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
    header, rows = table_of_data_sets(numbers, names, ["refcocog_val"])
    assert header == ["data set", "mean_precision", "precision@1", "precision@5"]
    assert rows == [
        ["refcoco_val", 0.6, 0.5, 0.7],
        ["refcoco+_val", 0.4, 0.3, -1.0],
        ["refcocog_val (absent)", -1.0, -1.0, -1.0],
        ["empty", -1.0, -1.0, -1.0],
        ["average", 0.5, -1.0, -1.0],
    ]


def test_classes_of_data_sets_have_no_columns():
    numbers = {"a/coco/cat_precision": 0.1, "a/coco/bbox_mAP": 0.2, "b/coco/dog_precision": 0.3}
    assert table_of_data_sets(numbers, ["a", "b"], [])[0] == ["data set", "mAP"]
