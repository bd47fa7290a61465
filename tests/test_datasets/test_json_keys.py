"""Keys that occur twice in an object of an annotation file."""

import json
from unittest import mock

import pytest

from glip.analysis.coco_check import CocoChecker
from glip.converters.json_stream import stream_entries
from glip.datasets import json_keys
from glip.datasets.annotation_file import read_annotation_file
from glip.datasets.odvg.records import parse_record
from glip.datasets.odvg.writing import read_label_map
from glip.utils.errors import AnnotationFileError, OdvgRecordError
from tests.test_datasets.files import coco_content

#: What follows the value of a key in the file -> the key, and the values in the order of the file.
REPEATED = {
    '"bbox": [1, 2, 10, 20]': ("bbox", '"bbox": [0, 0, 5, 5]'),
    '"area": 200': ("area", '"area": 7'),
    '"iscrowd": 1': ("iscrowd", '"iscrowd": 0'),
    '"category_id": 18': ("category_id", '"category_id": 5'),
    '"image_id": 7': ("image_id", '"image_id": 30'),
    '"id": 3': ("id", '"id": 4'),
    '"name": "dog"': ("name", '"name": "wolf"'),
    '"id": 5': ("id", '"id": 6'),
    '"file_name": "b.png"': ("file_name", '"file_name": "B:\\\\x.png"'),
    '"height": 40': ("height", '"height" :\\t41'.replace("\\t", "\t")),
    '"width": 60': ("width", '"width"\n: 61'),
    '"score": 1}': ("score", '"score": {"a": 1}}'),
}


def text_with(old, new):
    content = coco_content()
    content["annotations"][0]["attributes"] = dict(note='a ": in a text', score=1)
    text = json.dumps(content)
    assert text.count(old) >= 1
    first = old.removesuffix("}")
    return text.replace(old, f"{first}, {new}", 1)


@pytest.mark.parametrize("old", REPEATED)
def test_values_that_differ(tmp_path, old):
    key, new = REPEATED[old]
    data = text_with(old, new).encode()
    _, found = json_keys.loads(data)
    assert [each.key for each in found] == [key]
    (tmp_path / "a.json").write_bytes(data)
    problems = CocoChecker(tmp_path / "a.json").problems
    assert [each for each in problems if each.reason == f"with the key '{key}' twice"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
@pytest.mark.parametrize("indent", [None, 1])
def test_nothing_is_found_in_a_valid_file(encoding, indent):
    content = coco_content()
    content["annotations"][0]["attributes"] = dict(deep=[dict(x=1, y=dict(z='":'))])
    data = json.dumps(content, indent=indent).encode(encoding)
    assert json_keys.loads(data) == (content, [])


@pytest.mark.parametrize("content", [[{"a": 1}], {"a": [[{"b": 1}]]}, 3, "a", None, [], [[]]])
def test_other_content(content):
    assert json_keys.loads(json.dumps(content).encode()) == (content, [])


def test_a_repeated_value_makes_no_difference():
    _, found = json_keys.loads(text_with('"area": 200', '"area": 200').encode())
    assert found == []


def test_the_reader_warns_once_with_counts(tmp_path):
    text = text_with('"area": 200', '"area": 7').replace('"area": 900', '"area": 900, "area": 3')
    (tmp_path / "a.json").write_text(text)
    with mock.patch.object(json_keys, "print_log") as log:
        read_annotation_file(str(tmp_path / "a.json"))
    log.assert_called_once()
    said = log.call_args.args[0]
    assert "twice in one object" in said
    assert "'area' in 2 objects (200 and then 7 in {'id': 1" in said
    assert "write each key once" in said


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_list_of_the_file_twice(tmp_path, key):
    """As after joining two files: the first list would be lost."""
    text = json.dumps(coco_content())
    (tmp_path / "a.json").write_text(text[:-1] + f', "{key}": []}}')
    with pytest.raises(AnnotationFileError, match=f"'{key}' 2 times: only the last"):
        read_annotation_file(str(tmp_path / "a.json"))
    with pytest.raises(AnnotationFileError, match=f"'{key}' twice: merge"):
        list(stream_entries(tmp_path / "a.json", "images", "annotations", "categories"))


@pytest.mark.parametrize(
    "text",
    [
        '{"filename": "a", "filename": "b"}',
        '{"detection": {"instances": [{"label": 1, "label": 2}]}}',
        '{"detection": {"instances": [{"bbox": [1, 2, 3, 4], "bbox": [1, 2, 3, 5]}]}}',
        '{"grounding": {"caption": "a dog", "caption": "a cat", "regions": []}}',
        '{"grounding": {"regions": [{"phrase": "a", "phrase": "b"}]}}',
        '{"height": 1, "width": 2, "height": 2}',
    ],
)
def test_records(text):
    with pytest.raises(OdvgRecordError, match="a key is there twice"):
        parse_record(text.encode())


def test_label_map(tmp_path):
    (tmp_path / "labels.json").write_text('{"0": "cat", "0": "dog", "1": "cow"}')
    with pytest.raises(AnnotationFileError, match="'0' in 1 object"):
        read_label_map(tmp_path / "labels.json")
