"""What reading an annotation file keeps, skips and refuses."""

import copy
import os
import stat
from pathlib import Path

import pytest

from glip.analysis.coco_check import CocoChecker
from glip.converters.json_stream import stream_entries
from glip.datasets.annotation_file import (
    Skipped,
    box_problem,
    load_readable,
    read_annotation_file,
)
from glip.datasets.odvg.sources import expand_patterns
from glip.datasets.odvg.writing import read_label_map
from glip.utils.errors import AnnotationFileError, AnnotationFileNotFoundError
from tests.test_datasets.files import coco_content, write


def test_reads_by_image(tmp_path):
    file = read_annotation_file(write(tmp_path, coco_content()))
    assert [each["id"] for each in file.images] == [30, 7, 12]
    assert [each["id"] for each in file.annotations[30]] == [1, 2]
    assert file.annotations[12] == []
    assert [each["id"] for each in file.all_annotations()] == [1, 2, 3]
    assert file.skipped.total == 0


def test_annotations_and_categories_may_be_missing(tmp_path):
    content = coco_content()
    file = read_annotation_file(write(tmp_path, dict(images=content["images"])))
    assert file.categories == []
    assert list(file.all_annotations()) == []


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_copies_are_kept_once(tmp_path, key):
    content = coco_content()
    content[key].append(copy.deepcopy(content[key][0]))
    file = read_annotation_file(write(tmp_path, content))
    assert len(file.images) == 3
    assert len(list(file.all_annotations())) == 3
    assert len(file.categories) == 3


@pytest.mark.parametrize(
    ("key", "field"), [("images", "file_name"), ("annotations", "bbox"), ("categories", "name")]
)
def test_one_id_for_two_things_is_an_error(tmp_path, key, field):
    content = coco_content()
    content[key].append({**content[key][0], field: "another"})
    with pytest.raises(AnnotationFileError, match=r"two different .* with the id"):
        read_annotation_file(write(tmp_path, content))


def test_copies_with_nan_are_copies(tmp_path):
    content = coco_content()
    content["annotations"][0]["area"] = float("nan")
    content["annotations"].append(dict(content["annotations"][0]))
    assert len(read_annotation_file(write(tmp_path, content)).annotations[30]) == 2


def test_strangers_are_counted(tmp_path):
    content = coco_content()
    first = content["annotations"][0]
    content["annotations"] += [
        dict(first, id=10, image_id=999),
        dict(first, id=11, category_id=999),
        {key: value for key, value in first.items() if key not in ("id", "image_id")},
    ]
    file = read_annotation_file(write(tmp_path, content))
    assert file.skipped.counts == {
        "of images that are not in the file": 2,
        "of categories that are not in the file": 1,
    }


def test_missing_ids_are_given(tmp_path):
    content = coco_content()
    del content["annotations"][1]["id"]
    file = read_annotation_file(write(tmp_path, content))
    assert [each["id"] for each in file.annotations[30]] == [1, 4]


def test_image_without_id(tmp_path):
    content = coco_content()
    del content["images"][1]["id"]
    with pytest.raises(AnnotationFileError, match="without an id among its images"):
        read_annotation_file(write(tmp_path, content))


def test_no_file(tmp_path):
    with pytest.raises(AnnotationFileNotFoundError, match="last folder of the path that exists"):
        read_annotation_file(str(tmp_path / "data" / "coco" / "absent.json"))


@pytest.mark.parametrize(
    "read",
    [
        read_annotation_file,
        load_readable,
        CocoChecker,
        lambda path: list(stream_entries(path, "images")),
        lambda path: expand_patterns([path]),
        read_label_map,
    ],
)
@pytest.mark.parametrize("kind", ["device", "link", "pipe", "folder", "socket"])
def test_no_regular_file(tmp_path, read, kind):
    """A device has no end, and fills the memory; a pipe blocks for ever."""
    path = tmp_path / "a.json"
    if kind == "device":
        path = Path("/dev/zero")
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    with pytest.raises(AnnotationFileError, match=r"not a regular file|is a folder"):
        read(str(path))


@pytest.mark.parametrize("place", ["a\0b.json", "\0"])
def test_nul_in_the_path(place):
    with pytest.raises(AnnotationFileError, match="NUL character"):
        read_annotation_file(place)


def test_more_than_fits_into_the_memory(tmp_path, monkeypatch):
    def fail(data):
        raise MemoryError

    path = write(tmp_path, coco_content())
    monkeypatch.setattr("glip.datasets.json_keys.loads", fail)
    with pytest.raises(AnnotationFileError, match="does not fit into the memory; split it"):
        read_annotation_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid JSON"),
        ('{"images": [', "invalid JSON"),
        ("\x00\xff", "invalid JSON"),
        ("[]", "format of results"),
        ('{"annotations": []}', "got \\['annotations'\\]"),
        ('{"images": 3}', "not an annotation file"),
    ],
)
def test_not_an_annotation_file(tmp_path, text, message):
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(AnnotationFileError, match=message):
        read_annotation_file(str(path))


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ([1, 2, 3, 4], None),
        ((1.5, -2, 0, -4), None),
        ([1, 2, 3], "without a box of four numbers"),
        (None, "without a box of four numbers"),
        ("1234", "without a box of four numbers"),
        ([1, 2, 3, None], "without a box of four numbers"),
        ([1, 2, 3, True], "without a box of four numbers"),
        ([1, 2, float("nan"), 4], "with a box that is not finite"),
        ([1, float("-inf"), 3, 4], "with a box that is not finite"),
    ],
)
def test_box_problem(box, problem):
    assert box_problem(box) == problem


def test_skipped_says_it_in_one_line():
    skipped = Skipped("category", "categories")
    for number in range(5):
        skipped.add("never used", number)
    skipped.add("misspelled", "dgo")
    expected = "5 categories never used (0, 1, 2, ...); 1 category misspelled (dgo)"
    assert skipped.summary() == expected
    assert Skipped("annotation").summary() == ""
