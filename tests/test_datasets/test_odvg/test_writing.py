"""Writing: files are atomic, and the records before an error are kept apart."""

from __future__ import annotations

import json

import pytest

from glip.datasets.odvg.records import detection_record
from glip.datasets.odvg.writing import RecordWriter, read_label_map, write_label_map
from glip.utils.errors import (
    USER_ERRORS,
    AnnotationFileError,
    AnnotationFileNotFoundError,
    DataError,
    OdvgRecordError,
)


def line(name="a.jpg", **others):
    return detection_record(filename=name, height=9, width=9, instances=[], **others)


def test_records_are_written(tmp_path):
    path = tmp_path / "new" / "train.jsonl"
    lines = [line("köter.jpg"), line("b\u2028\n.jpg"), line(extra=dict(odd="\ud800"))]
    with RecordWriter(path) as writer:
        for each in lines:
            writer.write(each)
        assert writer.num_records == 3
        assert not path.exists()
    content = path.read_bytes()
    assert "köter".encode() in content
    assert [json.loads(each) for each in content.decode().split("\n")[:-1]] == lines
    assert [each.name for each in path.parent.iterdir()] == ["train.jsonl"]


def test_an_error_keeps_the_part_file(tmp_path):
    path = tmp_path / "train.jsonl"

    def write():
        with RecordWriter(path) as writer:
            writer.write(line())
            writer.write({**line(), "height": None})

    with pytest.raises(OdvgRecordError, match="height"):
        write()
    assert not path.exists()
    assert json.loads((tmp_path / "train.jsonl.part").read_text()) == line()


def test_overwrite(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("precious")
    with pytest.raises(USER_ERRORS, match="exists already"), RecordWriter(path):
        pass
    assert path.read_text() == "precious"
    with RecordWriter(path, overwrite=True) as writer:
        writer.write(line())
        assert path.read_text() == "precious"
    assert json.loads(path.read_text()) == line()


def test_label_map(tmp_path):
    names = ("person", "Straße", "traffic light", *map(str, range(10)))
    write_label_map(tmp_path / "new" / "labels.json", names)
    assert read_label_map(tmp_path / "new" / "labels.json") == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "invalid JSON"),
        ("[]", "is not a label map"),
        ("{}", "is not a label map"),
        ('{"1": "dog", "2": "cat"}', "there is no '0'"),
        ('{"0": "dog", "2": "cat"}', "there is no '1'"),
        ('{"0": 3}', "expected a name for label 0, got 3"),
        ('{"0": "dog", "1": "dog"}', "'dog' is the name of the labels 0 and 1"),
    ],
)
def test_invalid_label_maps(tmp_path, content, message):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(AnnotationFileError, match=message):
        read_label_map(tmp_path / "labels.json")


def test_label_map_errors(tmp_path):
    with pytest.raises(AnnotationFileNotFoundError):
        read_label_map(tmp_path / "labels.json")
    with pytest.raises(DataError, match="got ''"):
        write_label_map(tmp_path / "labels.json", ["dog", ""])
    assert not list(tmp_path.iterdir())
