"""Predictions on disk."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glip.engine.prediction_store import PredictionStore
from glip.utils.errors import EvaluationMismatchError


def sample(number: int) -> dict:
    return dict(
        img_id=np.int64(number),
        text=("a", "b"),
        phrase_boxes=[[[0.0, 1.0, 2.0, 3.0]]],
        pred_instances=dict(scores=torch.tensor([0.5]), label_names=["a"]),
    )


def test_round_trip(tmp_path):
    store = PredictionStore(tmp_path / "new", fingerprint="this")
    assert store.read() == {}
    store.write({3: sample(3), 1: sample(1)})
    store.write({2: sample(2)})
    found = PredictionStore(tmp_path / "new", fingerprint="this").read()
    assert sorted(found) == [1, 2, 3]
    for number, kept in found.items():
        assert kept["img_id"] == number
        assert kept["phrase_boxes"] == sample(number)["phrase_boxes"]
        assert torch.equal(kept["pred_instances"]["scores"], torch.tensor([0.5]))
        assert "text" not in kept  # metrics need no prompt


def test_partial_files_are_ignored(tmp_path):
    store = PredictionStore(tmp_path, fingerprint="this")
    store.write({0: sample(0)})
    (tmp_path / ".000000001-cut.pth.partial").write_bytes(b"half")
    assert sorted(store.read()) == [0]


def test_another_evaluation(tmp_path):
    PredictionStore(tmp_path, fingerprint="this")
    with pytest.raises(EvaluationMismatchError, match="pass another --resume-dir"):
        PredictionStore(tmp_path, fingerprint="that")
