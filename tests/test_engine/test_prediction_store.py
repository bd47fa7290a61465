"""Predictions on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from glip.engine.prediction_store import PredictionStore, image_keys
from glip.utils.errors import EvaluationMismatchError, GLIPError

THIS = {"weights": "a1", "content of x.json": "b2"}


def sample(number: int, text=("a", "b")) -> dict:
    return dict(
        img_id=number,
        text=text,
        phrase_boxes=[[[0.0, 1.0, 2.0, 3.0]]],
        pred_instances=dict(scores=torch.tensor([0.5]), label_names=["a"]),
    )


def equal(first: dict, second: dict) -> bool:
    """Compare two samples, the order and the types of their values included."""
    return repr(first) == repr(second)


@pytest.mark.parametrize("text", [("a", "b"), ["a", "b"], "a caption", (), [["a"], "b"], None])
def test_round_trip(tmp_path, text):
    store = PredictionStore(tmp_path / "new", identity=THIS)
    assert store.read(["3", "1"]) is None
    store.write(["3", "1"], [sample(3, text), sample(1, text)])
    store.write(["2"], [sample(2)])
    again = PredictionStore(tmp_path / "new", identity=THIS)
    assert again.has(["3", "1"])
    assert not again.has(["1", "3"])  # images are padded to the largest of their batch
    assert not again.has(["1"])
    found = again.read(["3", "1"])
    assert equal(found[0], sample(3, text))
    assert equal(found[1], sample(1, text))


def test_the_names_are_stored_once(tmp_path):
    store = PredictionStore(tmp_path, identity=THIS)
    names = tuple(f"class {number}" for number in range(1203))
    for number in range(20):
        store.write([str(number)], [sample(number, names)])
    assert len(list(tmp_path.glob("text-*"))) == 1
    assert sum(path.stat().st_size for path in tmp_path.glob("*.pth")) < 20 * 4000


def broken(kind: str, path: Path) -> None:
    content = path.read_bytes()
    changes = dict(
        empty=b"",
        half=content[: len(content) // 2],
        short=content[:-1],
        garbage=b"garbage" * 9,
        zeros=bytes(len(content)),
    )
    if kind in changes:
        path.write_bytes(changes[kind])
    else:
        values = dict(
            list=[1],
            other={"images": ["9"], "samples": [sample(9)]},
            fewer={"images": ["1"], "samples": []},
            number={"images": ["1"], "samples": 5},
            numbers={"images": ["1"], "samples": [5]},
            unknown={"other": 1},
            names={"images": ["1"], "samples": [sample(1, {"names": "../absent.json"})]},
        )
        torch.save(values[kind], path)


KINDS = [
    "empty",
    "half",
    "short",
    "garbage",
    "zeros",
    "list",
    "other",
    "fewer",
    "number",
    "numbers",
    "unknown",
    "names",
]


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_count_as_absent(tmp_path, kind, caplog):
    store = PredictionStore(tmp_path, identity=THIS)
    store.write(["1"], [sample(1)])
    store.write(["2"], [sample(2)])
    path = store._file(["1"])
    broken(kind, path)
    assert store.read(["1"]) is None
    assert equal(store.read(["2"])[0], sample(2))
    store.write(["1"], [sample(1)])
    assert equal(store.read(["1"])[0], sample(1))


def test_damaged_names(tmp_path):
    store = PredictionStore(tmp_path, identity=THIS)
    store.write(["1"], [sample(1)])
    (names,) = tmp_path.glob("text-*")
    names.write_text('["tuple", "a"]')
    assert store.read(["1"]) is None
    store.write(["1"], [sample(1)])
    assert equal(store.read(["1"])[0], sample(1))


def test_partial_files_are_deleted(tmp_path):
    PredictionStore(tmp_path, identity=THIS).write(["0"], [sample(0)])
    (tmp_path / ".000000001-cut.pth.partial").write_bytes(b"half")
    assert PredictionStore(tmp_path, identity=THIS).has(["0"])
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({**THIS, "weights": "a2"}, "with different weights: pass another --resume-dir"),
        ({**THIS, "content of x.json": "c"}, "with different content of x.json"),
        ({"weights": "a1"}, "with different content of x.json"),
        ({**THIS, "batch size": "2"}, "with different batch size"),
        ({str(number): "x" for number in range(50)}, r"with different 0, 1, 2, 3, 4, \.\.\."),
    ],
)
def test_another_evaluation(tmp_path, other, message):
    PredictionStore(tmp_path, identity=THIS)
    with pytest.raises(EvaluationMismatchError, match=message):
        PredictionStore(tmp_path, identity=other)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b'"text"', b"null"]
)
def test_damaged_identity(tmp_path, content):
    (tmp_path / "evaluation.json").write_bytes(content)
    with pytest.raises(EvaluationMismatchError, match=r"evaluation\.json is damaged"):
        PredictionStore(tmp_path, identity=THIS)


def test_a_folder_of_other_files(tmp_path):
    (tmp_path / "epoch_1.pth").write_bytes(b"a model")
    with pytest.raises(EvaluationMismatchError, match=r"no evaluation\.json"):
        PredictionStore(tmp_path, identity=THIS)
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(GLIPError, match=r"cannot be written .*; choose"):
            PredictionStore(folder, identity=THIS)


def test_image_keys():
    class Images(list):
        def get_data_info(self, index):
            return dict(self[index])

    images = Images([dict(img_id=np.int64(4)), dict(img_id="4"), dict(img_id=4), dict()])
    assert image_keys(images) == ["0/4", "0/'4'", "0/4#2", "#3"]
    assert image_keys([5, 6]) == ["#0", "#1"]
    assert json.dumps(image_keys(images))
