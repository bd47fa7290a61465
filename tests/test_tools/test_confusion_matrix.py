"""Which classes are taken for which."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from glip.analysis.confusion_matrix import count_image
from glip.utils.errors import USER_ERRORS
from tests.test_tools.commands import tool

TOOL = "analysis_tools/confusion_matrix.py"


def test_counts():
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 80, 10]])
    found = np.array(
        [
            [0, 0, 10, 9],  # the first box, as another class
            [0, 0, 10, 10],  # it again, but it is taken
            [20, 0, 30, 10],  # the second box, rightly
            [41, 8, 50, 10],  # too little of the third box, which nothing else finds
            [60, 0, 80, 10],  # the fourth, which does not count
        ]
    )
    matrix = np.zeros((3, 3), dtype=int)
    count_image(
        matrix,
        boxes,
        np.array([0, 1, 1, 0]),
        found,
        np.array([1, 0, 1, 1, 0]),
        np.array([False, False, False, True]),
        0.5,
    )
    assert matrix.tolist() == [[0, 1, 0], [0, 1, 1], [1, 1, 0]]


def test_empty_image():
    matrix = np.zeros((2, 2), dtype=int)
    none, no_labels = np.zeros((0, 4)), np.zeros(0, dtype=int)
    count = count_image
    count(matrix, none, no_labels, none, no_labels, no_labels.astype(bool), 0.5)
    assert not matrix.any()
    count(matrix, none, no_labels, np.ones((1, 4)), np.array([0]), no_labels.astype(bool), 0.5)
    assert matrix.tolist() == [[0, 0], [1, 0]]


def test_picture_and_numbers(runs, small_configs, examples, tmp_path):
    _, _, predictions = runs("coco")
    out = tmp_path / "new" / "confusion.png"
    options = ("--score-thr", "0", "--cfg-options", f"data_root={examples['coco']}")
    matrix = tool(TOOL).main([str(small_configs["coco"]), str(predictions), str(out), *options])
    assert matrix.shape == (81, 81)
    assert matrix.diagonal().sum() > 0  # the annotations are where the model finds something
    assert out.read_bytes().startswith(b"\x89PNG")
    with out.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [[int(each) for each in row[1:]] for row in rows[1:]] == matrix.tolist()
    assert rows[0][1:] == [row[0] for row in rows[1:]]


def test_other_data(small_configs, examples, tmp_path):
    stored = [dict(img_id=1, pred_instances=dict(bboxes=[], scores=[], labels=[]))]
    (tmp_path / "none.json").write_text(json.dumps(stored))
    options = ("--cfg-options", f"data_root={examples['refcoco']}")
    with pytest.raises(USER_ERRORS, match="expected test data of one data set in COCO format"):
        tool(TOOL).main(
            [str(small_configs["refcoco"]), str(tmp_path / "none.json"), "a.png", *options]
        )
